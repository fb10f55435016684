"""What runs on every node: pods, proxy and DNS, driven by watching the API."""
