"""Services and EndpointSlices for the proxy's tests, and the node that they are compiled for."""

from netlab.proxy.config import ProxyConfig
from netlab.proxy.node_view import node_view

CONFIG = ProxyConfig(node_name="alpha", node_ips=("10.10.11.20",), cluster_cidr=("10.244.0.0/16",))

NODE = node_view(None, CONFIG, "ipv4")


def service(name, number, **spec):
    protocol = spec.pop("protocol", "TCP")
    ports = [{"name": "p", "port": 80, "protocol": protocol, **spec.pop("port", {})}]
    spec = {"clusterIP": f"10.96.0.{number}", "ports": ports, **spec}
    return {"metadata": {"name": name, "namespace": "town"}, "spec": spec}


def endpoint_slice(name, *ips, protocol="TCP"):
    labels = {"kubernetes.io/service-name": name}
    return {
        "metadata": {"name": f"{name}-a", "namespace": "town", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "p", "port": 8080, "protocol": protocol}],
        "endpoints": [{"addresses": [ip], "nodeName": "alpha"} for ip in ips],
    }


def web(spec, **status):
    spec = {"clusterIP": "10.96.0.5", "ports": [{"port": 80}], **spec}
    return {"metadata": {"name": "web", "namespace": "town"}, "spec": spec, "status": status}


def web_slice(*hosts, address_type="IPv4", ports=None):
    return {
        "metadata": {
            "name": "web-a",
            "namespace": "town",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": address_type,
        "ports": ports or [{"name": "", "port": 8080}],
        "endpoints": list(hosts),
    }


def host(ip, **more):
    return {"addresses": [ip], **more}
