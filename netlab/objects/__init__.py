"""The Kubernetes objects this lab knows. Pure: no kernel, no processes, no clock."""
