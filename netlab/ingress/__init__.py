"""An Ingress controller's thinking: objects → servers and locations → nginx.conf."""
