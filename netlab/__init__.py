"""netlab: Kubernetes-style service routing made of Linux network namespaces."""

__version__ = "0.1.0"
