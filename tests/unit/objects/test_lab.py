import ipaddress
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netlab.objects.lab import CONTROL_PLANE_TAINT, lab_from_object, lab_problems


def lab(spec, name="x"):
    return {"kind": "Lab", "metadata": {"name": name}, "spec": spec}


def read(spec):
    assert lab_problems(lab(spec)) == []
    return lab_from_object(lab(spec))


def complaints(spec, name="x"):
    found: dict[str, str] = {}
    for problem in lab_problems(lab(spec, name)):
        found[problem.field] = f"{found.get(problem.field, '')}\n{problem.message}"
    return found


def test_a_name_and_a_count_are_enough():
    made = read({"nodes": 3})
    assert [(node.name, node.role) for node in made.nodes] == [
        ("master001", "control-plane"),
        ("worker001", "worker"),
        ("worker002", "worker"),
    ]
    assert [node.internal_ips for node in made.nodes] == [
        ("10.10.11.10",),
        ("10.10.11.11",),
        ("10.10.11.12",),
    ]
    assert made.nodes[1].external_ips == ("172.16.110.11",)
    assert [node.pod_cidrs for node in made.nodes] == [
        ("10.244.0.0/24",),
        ("10.244.1.0/24",),
        ("10.244.2.0/24",),
    ]
    assert made.service_cidrs == ("10.96.0.0/12",)
    assert made.external.gateway_ips == ("172.16.110.1",)
    assert [(client.name, client.ips) for client in made.external.clients] == [
        ("client", ("172.16.110.100",))
    ]
    assert (made.proxy_mode, made.iptables, made.ip_families) == ("iptables", "auto", ("IPv4",))
    assert made.dns.domain == "cluster.local"
    assert made.proxy.localhost_node_ports and not made.proxy.masquerade_all


def test_a_control_plane_is_tainted_unless_it_is_alone():
    assert read({"nodes": 2}).nodes[0].taints == (CONTROL_PLANE_TAINT,)
    assert read({"nodes": 1}).nodes[0].taints == ()
    two = [{"name": "a", "role": "control-plane", "taints": []}, {"name": "b"}]
    assert read({"nodes": two}).nodes[0].taints == ()


def test_written_addresses_stay_and_others_keep_clear_of_them():
    nodes = [
        {"name": "a"},
        {"name": "b", "internalIP": "10.10.11.10", "podCIDR": "10.244.0.0/24"},
        {"name": "c"},
    ]
    made = read({"nodes": nodes})
    assert [node.internal_ips[0] for node in made.nodes] == [
        "10.10.11.11",
        "10.10.11.10",
        "10.10.11.12",
    ]
    assert [node.pod_cidrs[0] for node in made.nodes] == [
        "10.244.1.0/24",
        "10.244.0.0/24",
        "10.244.2.0/24",
    ]


def test_an_ipv6_range_after_a_comma_makes_the_lab_dual_stack():
    made = read({"nodes": 2, "podCIDR": "10.244.0.0/16,fd00:10:244::/56"})
    assert made.ip_families == ("IPv4", "IPv6")
    assert made.service_cidrs == ("10.96.0.0/12", "fd00:10:96::/112")
    assert made.nodes[1].internal_ips == ("10.10.11.11", "fd00:10:10:11::11")
    assert made.nodes[1].pod_cidrs == ("10.244.1.0/24", "fd00:10:244:1::/64")
    assert made.external.clients[0].ips == ("172.16.110.100", "fd00:172:16:110::100")


def test_ipv6_alone():
    made = read({"nodes": 1, "ipFamilies": ["IPv6"]})
    assert made.pod_cidrs == ("fd00:10:244::/56",)
    assert made.nodes[0].internal_ips == ("fd00:10:10:11::10",)


def test_no_clients_when_the_list_is_empty():
    assert read({"nodes": 1, "external": {"clients": []}}).external.clients == ()


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({}, "spec.nodes", "Required value"),
        ({"nodes": 0}, "spec.nodes", "must be between 1 and 250"),
        ({"nodes": []}, "spec.nodes", "at least one node"),
        ({"nodes": True}, "spec.nodes", "must be a whole number or a list"),
        ({"nodes": [{}]}, "spec.nodes[0].name", "Required value"),
        ({"nodes": [{"name": "A_b"}]}, "spec.nodes[0].name", "RFC 1123 label"),
        ({"nodes": [{"name": "fabric"}]}, "spec.nodes[0].name", "is reserved"),
        ({"nodes": [{"name": "a"}, {"name": "a"}]}, "spec.nodes[1].name", "Duplicate value"),
        ({"nodes": [{"name": "a", "role": "master"}]}, "spec.nodes[0].role", "Unsupported value"),
        ({"nodes": [{"name": "a", "ip": "1"}]}, "spec.nodes[0].ip", "unknown field"),
        (
            {"nodes": [{"name": "a", "internalIP": "10.10.12.5"}]},
            "spec.nodes[0].internalIP",
            "lies outside nodeNetwork",
        ),
        (
            {"nodes": [{"name": "a", "internalIP": "10.10.11.1"}]},
            "spec.nodes[0].internalIP",
            "is the gateway's address",
        ),
        (
            {"nodes": [{"name": "a", "internalIP": "10.10.11.255"}]},
            "spec.nodes[0].internalIP",
            "broadcast",
        ),
        (
            {"nodes": [{"name": "a", "externalIP": "172.16.110.300"}]},
            "spec.nodes[0].externalIP",
            "must be a valid IP address",
        ),
        (
            {
                "nodes": [
                    {"name": "a", "internalIP": "10.10.11.9"},
                    {"name": "b", "internalIP": "10.10.11.9"},
                ]
            },
            "spec.nodes[1].internalIP",
            "Duplicate value",
        ),
        (
            {"nodes": [{"name": "a", "podCIDR": "10.245.0.0/24"}]},
            "spec.nodes[0].podCIDR",
            "lies outside the lab's podCIDR",
        ),
        (
            {
                "nodes": [
                    {"name": "a", "podCIDR": "10.244.0.0/24"},
                    {"name": "b", "podCIDR": "10.244.0.128/25"},
                ]
            },
            "spec.nodes[1].podCIDR",
            "overlaps another node's podCIDR",
        ),
        ({"nodes": 1, "podCIDR": "10.244.0.0"}, "spec.podCIDR", "must be a valid CIDR value"),
        ({"nodes": 1, "podCIDR": "10.244.0.1/16"}, "spec.podCIDR", "bits set beyond the prefix"),
        ({"nodes": 3, "podCIDR": "10.244.0.0/24"}, "spec.podCIDR", "is too small for 3 nodes"),
        ({"nodes": 1, "podCIDR": "10.96.0.0/16"}, "spec.podCIDR", "overlaps serviceCIDR"),
        ({"nodes": 1, "serviceCIDR": "10.0.0.0/8"}, "spec.serviceCIDR", "overlaps"),
        ({"nodes": 1, "serviceCIDR": "10.96.0.0/30"}, "spec.serviceCIDR", "must have a length"),
        ({"nodes": 9, "nodeNetwork": "10.9.0.0/29"}, "spec.nodeNetwork", "is too small"),
        (
            {"nodes": 1, "external": {"cidr": "10.10.11.0/24"}},
            "spec.external.cidr",
            "overlaps nodeNetwork",
        ),
        (
            {"nodes": 1, "external": {"clients": [{"name": "master001"}]}},
            "spec.external.clients[0].name",
            "is the name of a node already",
        ),
        (
            {"nodes": 1, "external": {"clients": [{"name": "c", "ip": "1.2.3.4"}]}},
            "spec.external.clients[0].ip",
            "lies outside external.cidr",
        ),
        ({"nodes": 1, "ipFamilies": []}, "spec.ipFamilies", "Required value"),
        ({"nodes": 1, "ipFamilies": ["IPv5"]}, "spec.ipFamilies[0]", "Unsupported value"),
        (
            {"nodes": 1, "podCIDR": "10.244.0.0/16,10.245.0.0/16"},
            "spec.podCIDR",
            "more than one IPv4 range",
        ),
        (
            {"nodes": 1, "podCIDR": "10.244.0.0/16", "ipFamilies": ["IPv4", "IPv6"]},
            "spec.podCIDR",
            "has no IPv6 range",
        ),
        (
            {"nodes": 1, "serviceCIDR": "fd00:1::/112", "podCIDR": "10.244.0.0/16"},
            "spec.serviceCIDR",
            "has an IPv6 range",
        ),
        ({"nodes": 1, "proxyMode": "ipvs"}, "spec.proxyMode", "Unsupported value"),
        ({"nodes": 1, "iptables": "nftables"}, "spec.iptables", "Unsupported value"),
        ({"nodes": 1, "dns": {"domain": "A.b"}}, "spec.dns.domain", "RFC 1123 subdomain"),
        ({"nodes": 1, "dns": {"upstream": {"a.b": "x"}}}, "spec.dns.upstream[a.b]", "valid IP"),
        (
            {"nodes": 1, "external": {"names": {"a.b": ["x"]}}},
            "spec.external.names[a.b]",
            "valid IP",
        ),
        (
            {"nodes": 1, "external": {"names": {"a_b": []}}},
            "spec.external.names.a_b",
            "RFC 1123 subdomain",
        ),
        (
            {"nodes": 1, "external": {"names": {"web.default.svc.cluster.local": []}}},
            "spec.external.names[web.default.svc.cluster.local]",
            "where the cluster's own DNS alone answers",
        ),
        (
            {"nodes": 1, "external": {"upstream": "ns.example.com"}},
            "spec.external.upstream",
            "must be the address of a name server",
        ),
        (
            {"nodes": 1, "external": {"upstream": ["192.0.2.53", "192.0.2.53:0"]}},
            "spec.external.upstream[1]",
            "must be the address of a name server",
        ),
        (
            {"nodes": 1, "proxy": {"nodePortAddresses": ["10.0.0.1"]}},
            "spec.proxy.nodePortAddresses[0]",
            "valid CIDR",
        ),
        ({"nodes": 1, "proxy": {"masqueradeAll": "yes"}}, "spec.proxy.masqueradeAll", "true or"),
    ],
)
def test_mistakes(spec, field, words):
    assert words in complaints(spec)[field]


def test_all_mistakes_at_once():
    found = complaints({"nodes": [{"nmae": "A"}], "proxyMode": "x", "dns": {"domain": "-"}}, "B_")
    assert set(found) == {
        "metadata.name",
        "spec.nodes[0].nmae",
        "spec.nodes[0].name",
        "spec.proxyMode",
        "spec.dns.domain",
    }


_FAMILIES = st.sampled_from([["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]])


@st.composite
def _specs(draw):
    count = draw(st.integers(1, 12))
    hosts = draw(st.lists(st.integers(2, 200), min_size=count, max_size=count, unique=True))
    families = draw(_FAMILIES)
    nodes = []
    for index, host in enumerate(hosts):
        node = {"name": f"n{index}", "role": draw(st.sampled_from(["worker", "control-plane"]))}
        if draw(st.booleans()) and "IPv4" in families:
            node["internalIP"] = f"10.10.11.{host}"
        if draw(st.booleans()) and "IPv4" in families:
            node["externalIP"] = f"172.16.110.{host}"
        if draw(st.booleans()) and "IPv4" in families:
            node["podCIDR"] = f"10.244.{host}.0/24"
        nodes.append(node)
    clients = [{"name": f"c{index}"} for index in range(draw(st.integers(0, 3)))]
    return {"nodes": nodes, "ipFamilies": families, "external": {"clients": clients}}


@settings(max_examples=60)
@given(_specs())
def test_every_address_is_given_once_and_inside_its_range(spec):
    made = read(spec)
    internal = [ip for node in made.nodes for ip in node.internal_ips]
    external = [ip for node in made.nodes for ip in node.external_ips]
    external += [ip for client in made.external.clients for ip in client.ips]
    for ips, cidrs in ((internal, made.node_network), (external, made.external.cidrs)):
        assert len(set(ips)) == len(ips)
        networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
        assert all(any(ipaddress.ip_address(ip) in network for network in networks) for ip in ips)
    subnets = [ipaddress.ip_network(cidr) for node in made.nodes for cidr in node.pod_cidrs]
    assert len(subnets) == len(made.nodes) * len(made.ip_families)
    for index, one in enumerate(subnets):
        assert not any(
            one.version == other.version and one.overlaps(other) for other in subnets[:index]
        )


@settings(max_examples=60)
@given(_specs())
def test_a_lab_reads_back_from_its_own_object(spec):
    made = read(spec)
    obj = json.loads(json.dumps(made.to_object()))
    assert lab_problems(obj) == []
    assert lab_from_object(obj) == made


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_SPEC_FIELDS = [
    "nodes",
    "podCIDR",
    "serviceCIDR",
    "ipFamilies",
    "proxyMode",
    "iptables",
    "nodeNetwork",
    "external",
    "dns",
    "proxy",
    "cidr",
    "clients",
    "name",
    "internalIP",
    "taints",
    "labels",
    "upstream",
    "names",
    "nodePortAddresses",
]


@settings(max_examples=200)
@given(
    st.recursive(
        _JSON | st.sampled_from(["10.0.0.0/8", "fd00::/64", "10.10.11.3", "a,b", ",", "::/0"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(_SPEC_FIELDS), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
@example({"nodes": [[], {"nodes": None, "podCIDR": "10.0.0.0/8", "external": "a,b"}]})
def test_any_json_is_either_complained_about_or_a_lab(spec):
    obj = {"kind": "Lab", "metadata": {"name": "x"}, "spec": spec}
    if not lab_problems(obj):
        lab_from_object(obj)


# The internet's names


def test_names_of_the_internet():
    external = {"names": {"a.example": "203.0.113.9, 203.0.113.10", "b.example.": []}}
    made = read({"nodes": 1, "external": {**external, "upstream": "192.0.2.53, machine"}})
    assert made.external.names == {
        "a.example": ("203.0.113.9", "203.0.113.10"),
        "b.example": (),
    }
    assert made.external.upstream == ("192.0.2.53", "machine")
    assert lab_from_object(made.to_object()) == made


def test_older_files_have_them_among_dns():
    made = read({"nodes": 1, "dns": {"upstream": {"a.example": "203.0.113.9"}}})
    assert made.external.names == {"a.example": ("203.0.113.9",)}


# Load balancers' pools


def pools(spec):
    return read(spec).to_object()["spec"]["loadBalancer"]["pool"]


@pytest.mark.parametrize(
    ("spec", "pool"),
    [
        ({"nodes": 3}, "172.16.110.200-172.16.110.250"),
        (
            {"nodes": 1, "podCIDR": "10.244.0.0/16,fd00:10:244::/56"},
            "172.16.110.200-172.16.110.250,fd00:172:16:110::200-fd00:172:16:110::250",
        ),
        ({"nodes": 200}, "172.16.110.211-172.16.110.250"),
        ({"nodes": 250, "external": {"clients": []}}, "none"),
        (
            {"nodes": 1, "external": {"clients": [{"name": "c", "ip": "172.16.110.220"}]}},
            "172.16.110.221-172.16.110.250",
        ),
        ({"nodes": 3, "external": {"cidr": "192.168.7.0/28"}}, "192.168.7.13-192.168.7.14"),
        ({"nodes": 3, "external": {"cidr": "192.168.7.0/29"}}, "192.168.7.6"),
        ({"nodes": 4, "external": {"cidr": "192.168.7.0/29"}}, "none"),
        ({"nodes": 1, "loadBalancer": {"pool": "none"}}, "none"),
        ({"nodes": 1, "loadBalancer": {}}, "172.16.110.200-172.16.110.250"),
        (
            {"nodes": 1, "loadBalancer": {"pool": "172.16.110.32/30, 172.16.110.240"}},
            "172.16.110.32-172.16.110.35,172.16.110.240",
        ),
    ],
)
def test_load_balancers_have_what_nobody_else_has(spec, pool):
    assert pools(spec) == pool


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ("172.16.110.300", "must be a range of addresses"),
        ("172.16.110.250-172.16.110.200", "must be a range of addresses"),
        ("172.16.110.200-fd00::1", "must be a range of addresses"),
        ("none,172.16.110.200", "must be a range of addresses"),
        ("", "must be a range of addresses"),
        (["172.16.110.200/24"], "must be a range of addresses"),
        (200, "must be a string or a list"),
        ("10.0.0.0/28", "lies outside external.cidr (172.16.110.0/24)"),
        ("172.16.110.250-172.16.111.5", "lies outside external.cidr (172.16.110.0/24)"),
        ("fd00:172:16:110::/120", "the lab has no IPv6"),
        ("172.16.110.0/30", "includes 172.16.110.0 (the network's own address of "),
        ("172.16.110.1/32", "includes 172.16.110.1 (the gateway)"),
        ("172.16.110.254-172.16.110.255", "includes 172.16.110.255 (the broadcast address of "),
        ("172.16.110.8/29", "includes 172.16.110.10 (master001) and 1 more"),
        ("172.16.110.100", "includes 172.16.110.100 (client)"),
        ("172.16.110.200/30,172.16.110.202", "overlaps 172.16.110.202"),
    ],
)
def test_a_pool_that_cannot_be(pool, words):
    found = complaints({"nodes": 2, "loadBalancer": {"pool": pool}})
    (field,) = found
    listed = isinstance(pool, list)
    assert field == ("spec.loadBalancer.pool[0]" if listed else "spec.loadBalancer.pool")
    assert words in found[field]


def test_pools_wait_for_a_sound_external_network():
    spec = {"nodes": 2, "loadBalancer": {"pool": "10.0.0.0/28"}}
    assert list(complaints({**spec, "external": {"cidr": "10.0.0.5/24"}})) == ["spec.external.cidr"]
    assert list(complaints({**spec, "external": {"cidr": "172.16.0.0/32"}})) == [
        "spec.external.cidr"
    ]
