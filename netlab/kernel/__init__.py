"""The only door to the machine: processes, namespaces, netlink, sysctls, mounts."""
