"""Who sends what to whom in a recorded world."""

from oracle import worlds

from netlab.proxy import addresses

STRANGERS = {
    "ipv4": ["198.51.100.240", "203.0.113.99"],
    "ipv6": ["2001:db8:c::9", "2001:db8:ffff::9"],
}
FOLDERS = {folder.name: folder for folder in (*worlds.NFTABLES, *worlds.IPTABLES)}
MOST_PODS = 2


def fronts(world, family, node_ips):
    """Every address of the Services with its port, and a cluster IP with one that it has not."""
    for service in world.services:
        spec = service["spec"]
        ingress = (service.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
        clusters = spec.get("clusterIPs") or [spec.get("clusterIP")]
        outside = [*(spec.get("externalIPs") or []), *(each.get("ip") for each in ingress)]
        for port in spec.get("ports") or []:
            protocol, number = port.get("protocol", "TCP").lower(), port["port"]
            for ip in addresses_of(clusters, family):
                yield "cluster", ip, number, protocol
                yield "cluster, other port", ip, number + 1000, protocol
            for ip in addresses_of(outside, family):
                yield "outside", ip, number, protocol
            for ip in node_ips if port.get("nodePort") else ():
                yield "node", ip, port["nodePort"], protocol


def addresses_of(texts, family):
    return [text for text in texts if text and addresses.address(text, family)]


def local_pods(world, family):
    """The endpoints on the node."""
    found = [
        ip
        for each in world.slices
        for endpoint in each.get("endpoints") or []
        if endpoint.get("nodeName") == world.config.node_name
        for ip in addresses_of(endpoint["addresses"], family)
    ]
    return list(dict.fromkeys(found))


def senders(world, family, node_ips):
    """Strangers, some endpoints on the node, the node."""
    for ip in [*STRANGERS[family], *local_pods(world, family)[:MOST_PODS]]:
        yield ip, "PREROUTING"
    yield from ((ip, "OUTPUT") for ip in node_ips)
