"""The pure parts of the proxy room one by one: names, settings, objects, text."""

import pytest
from msgspec.structs import replace

from netlab.errors import InputError
from netlab.proxy import addresses
from netlab.proxy.categorize import categorize
from netlab.proxy.config import ProxyConfig, from_mapping
from netlab.proxy.endpoints import endpoints
from netlab.proxy.iptables import chains, owners
from netlab.proxy.iptables.parse import parse
from netlab.proxy.iptables.render import render, render_restore
from netlab.proxy.iptables.rule import parse_rule, tokens
from netlab.proxy.iptables.service_rules import compile_service, probability
from netlab.proxy.names import hashed
from netlab.proxy.node_view import node_view
from netlab.proxy.services import ServicePort, service_ports

NODE = node_view(None, ProxyConfig(node_name="alpha", node_ips=("10.10.11.20",)), "ipv4")


def service(spec, **status):
    spec = {"clusterIP": "10.96.0.5", "ports": [{"port": 80}], **spec}
    return {"metadata": {"name": "web", "namespace": "town"}, "spec": spec, "status": status}


def endpoint_slice(*hosts, address_type="IPv4", ports=None):
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


def ports_of(spec, family="ipv4", **status):
    return service_ports(service(spec, **status), family, [])


# Names


def test_worked_examples_of_chain_names():
    assert hashed("ns1/threetcp") == "CYJJNRDIWBDS7HGJ"
    assert hashed("ns1/threetcp10.180.0.1:8080") == "OBXQLKML6L65UP2R"
    assert hashed("default/kubernetes:httpstcp") == "NPX46M4PTMTKRN6Y"


def test_which_chains_are_ours():
    assert chains.is_ours("nat", "KUBE-SVC-CYJJNRDIWBDS7HGJ")
    assert chains.is_ours("filter", "KUBE-FORWARD")
    assert not chains.is_ours("filter", "KUBE-SVC-CYJJNRDIWBDS7HGJ")
    assert not chains.is_ours("nat", "KUBE-SVC-SOMETHING")
    assert not chains.is_ours("mangle", "KUBE-KUBELET-CANARY")


@pytest.mark.parametrize(
    "n, text", [(2, "0.50000000000"), (3, "0.33333333349"), (5, "0.20000000019")]
)
def test_probabilities_are_what_the_kernel_keeps(n, text):
    assert probability(n) == text


# Addresses


@pytest.mark.parametrize(
    "text, family, canonical",
    [
        ("10.0.0.1", "ipv4", "10.0.0.1"),
        ("10.0.0.256", "ipv4", None),
        ("fd00:0:0:1::31", "ipv4", None),
        ("fd00:244:0:0:0:0:0:31", "ipv6", "fd00:244::31"),
        ("10.0.0.1", "ipv6", None),
        (None, "ipv4", None),
    ],
)
def test_addresses(text, family, canonical):
    assert addresses.address(text, family) == canonical


def test_prefixes_lose_their_host_bits():
    assert addresses.prefix("10.1.2.3/8", "ipv4") == "10.0.0.0/8"
    assert addresses.prefix("10.1.2.3", "ipv4") is None
    assert addresses.prefix("10.1.2.3/40", "ipv4") is None


# Settings


def test_all_mistakes_of_the_settings_at_once():
    mapping = {
        "mode": "ipvs",
        "clusterCIDR": "10.244.0.0",
        "masqueradeBit": 40,
        "masqueradeAll": "yes",
        "nodePortAddresses": ["primary", "eth0"],
        "colour": "red",
    }
    with pytest.raises(InputError) as raised:
        from_mapping(mapping, file="p.yaml")
    assert {problem.field for problem in raised.value.problems} == set(mapping)
    assert all(problem.file == "p.yaml" for problem in raised.value.problems)


def test_settings_that_are_no_mapping():
    with pytest.raises(InputError):
        from_mapping(["mode"])


@pytest.mark.parametrize(
    "wanted, localhost, ips",
    [
        ((), True, None),
        (("0.0.0.0/0",), True, None),
        (("primary",), False, ("10.10.11.20",)),
        (("127.0.0.0/8",), True, ("127.0.0.1",)),
        (("192.0.2.0/24",), False, ()),
        (("fd00::/8",), True, None),
    ],
)
def test_node_port_addresses(wanted, localhost, ips):
    config = ProxyConfig(node_ips=("10.10.11.20", "fd00::20"), node_port_addresses=wanted)
    seen = node_view(None, config, "ipv4")
    assert (seen.localhost_node_ports, seen.node_port_ips) == (localhost, ips)


def test_node_ports_never_answer_on_ipv6_loopback():
    config = ProxyConfig(node_port_addresses=("::1/128",))
    assert not node_view(None, config, "ipv6").localhost_node_ports


@pytest.mark.parametrize(
    "config, source, device",
    [
        (ProxyConfig(cluster_cidr=("fd00::/56", "10.244.0.0/16")), "-s 10.244.0.0/16", ""),
        (ProxyConfig(cluster_cidr=("fd00::/56",)), "", ""),
        (ProxyConfig(detect_local_mode="NodeCIDR"), "-s 10.244.3.0/24", ""),
        (ProxyConfig(detect_local_mode="BridgeInterface", bridge_interface="cni0"), "", "-i cni0"),
        (
            ProxyConfig(detect_local_mode="InterfaceNamePrefix", interface_name_prefix="veth"),
            "",
            "-i veth+",
        ),
    ],
)
def test_how_pods_are_told_from_strangers(config, source, device):
    node = {"metadata": {"name": "alpha"}, "spec": {"podCIDR": "10.244.3.0/24"}}
    seen = node_view(node, config, "ipv4")
    assert (seen.pods_source, seen.pods_device) == (source, device)


def test_strangers_by_device_stand_where_the_kernel_shows_them():
    config = ProxyConfig(detect_local_mode="BridgeInterface", bridge_interface="cni0")
    rules = compile_service(
        service({}), [endpoint_slice(host("10.244.0.1"))], node_view(None, config, "ipv4")
    )
    svc = next(rules.chains[name] for name in rules.chains if name.startswith("KUBE-SVC"))
    assert svc[0].startswith("-d 10.96.0.5/32 ! -i cni0 -p tcp -m comment")


# Services


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None"},
        {"clusterIP": ""},
        {"type": "ExternalName", "clusterIP": ""},
        {"clusterIP": "fd00::5"},
        {"clusterIPs": ["10.96.0.5"], "ipFamilies": ["IPv6"]},
        {"ports": None},
    ],
)
def test_services_that_are_not_programmed(spec):
    assert ports_of(spec) == []


@pytest.mark.parametrize("label", ["service-proxy-name", "headless"])
def test_labels_that_keep_a_service_out(label):
    labelled = service({})
    labelled["metadata"]["labels"] = {f"service.kubernetes.io/{label}": ""}
    assert service_ports(labelled, "ipv4", []) == []


def test_what_cannot_be_used_is_complained_about_and_the_rest_is_used():
    complaints = []
    ports = [{"port": 0}, {"port": 80, "nodePort": 70000}, {"port": 80, "protocol": "ICMP"}]
    spec = {"ports": [*ports, {"name": "ok", "port": 81}], "loadBalancerSourceRanges": ["10.0.0.0"]}
    found = service_ports(service(spec), "ipv4", complaints)
    assert [port.name for port in found] == ["town/web:ok"]
    assert [complaint.field for complaint in complaints] == [
        "spec.loadBalancerSourceRanges[0]",
        "spec.ports[0].port",
        "spec.ports[1].nodePort",
        "spec.ports[2].protocol",
    ]
    assert str(complaints[1]).startswith("Service town/web: spec.ports[0].port: 0 is no port")


def test_a_cluster_ip_that_is_none():
    complaints = []
    assert service_ports(service({"clusterIP": "10.96.0"}), "ipv4", complaints) == []
    assert "'10.96.0' is no ipv4 address" in str(complaints[0])


def test_external_policy_means_nothing_without_an_outside():
    (port,) = ports_of({"externalTrafficPolicy": "Local"})
    assert not port.external_local
    (port,) = ports_of({"externalTrafficPolicy": "Local", "externalIPs": ["192.0.2.1"]})
    assert port.external_local


def test_affinity_without_configuration_lasts_three_hours():
    (port,) = ports_of({"sessionAffinity": "ClientIP"})
    assert port.affinity_seconds == 10800


def test_load_balancer_addresses():
    ingress = [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "ipMode": "Proxy"}, {"hostname": "x"}]
    (port,) = ports_of({"type": "LoadBalancer"}, loadBalancer={"ingress": ingress})
    assert port.load_balancer_ips == ("192.0.2.1",)


# Endpoints


def choose(hosts, *, zone="", **more):
    port = ServicePort(
        "town/web", "", "tcp", "10.96.0.5", 80, 0, (), (), (), 0, False, False, 0
    )  # fmt: skip
    port = replace(port, **more)
    found = endpoints([endpoint_slice(*hosts)], "ipv4", "alpha", [])
    return categorize(found.get(("", "tcp"), ()), port, "alpha", zone)


def ips(chosen):
    return [ep.ip for ep in chosen]


DRAINING = {"conditions": {"ready": False, "serving": True, "terminating": True}}
UNREADY = {"conditions": {"ready": False}}
GONE = {"conditions": {"ready": False, "serving": False, "terminating": True}}


def test_the_draining_serve_only_when_nobody_is_ready():
    assert ips(choose([host("10.0.0.1"), host("10.0.0.2", **DRAINING)]).cluster) == ["10.0.0.1"]
    chosen = choose([host("10.0.0.1", **UNREADY), host("10.0.0.2", **DRAINING)])
    assert ips(chosen.cluster) == ["10.0.0.2"]
    chosen = choose([host("10.0.0.1", **UNREADY), host("10.0.0.2", **GONE)])
    assert (ips(chosen.cluster), chosen.anywhere) == ([], False)


def test_local_endpoints_drain_by_themselves():
    here = {"nodeName": "alpha"}
    hosts = [host("10.0.0.1"), host("10.0.0.2", **DRAINING, **here)]
    chosen = choose(hosts, external_local=True, node_port=30000)
    assert (ips(chosen.cluster), ips(chosen.local)) == (["10.0.0.1"], ["10.0.0.2"])
    assert ips(chosen.reachable) == ["10.0.0.1", "10.0.0.2"]


def test_internal_policy_local_alone_needs_no_other_endpoints():
    chosen = choose([host("10.0.0.1")], internal_local=True)
    assert (ips(chosen.cluster), ips(chosen.local), chosen.anywhere) == ([], [], True)


def hint(zone=None, node=None):
    hints = {"forZones": [{"name": zone}] if zone else []}
    return {"hints": {**hints, "forNodes": [{"name": node}] if node else []}}


@pytest.mark.parametrize(
    "hosts, zone, expected",
    [
        ([host("10.0.0.1", **hint("a")), host("10.0.0.2", **hint("b"))], "a", ["10.0.0.1"]),
        ([host("10.0.0.1", **hint("a")), host("10.0.0.2", **hint("b"))], "c", None),
        ([host("10.0.0.1", **hint("a")), host("10.0.0.2", **hint("b"))], "", None),
        ([host("10.0.0.1", **hint("a")), host("10.0.0.2")], "a", None),
        (
            [host("10.0.0.1", **hint("a")), host("10.0.0.2", **hint("a"), **DRAINING)],
            "a",
            ["10.0.0.1"],
        ),
        (
            [host("10.0.0.1", **hint("a", "alpha")), host("10.0.0.2", **hint("a", "beta"))],
            "a",
            ["10.0.0.1"],
        ),
        (
            [host("10.0.0.1", **hint("a", "beta")), host("10.0.0.2", **hint("b", "beta"))],
            "b",
            ["10.0.0.2"],
        ),
    ],
)
def test_topology_hints(hosts, zone, expected):
    assert ips(choose(hosts, zone=zone).cluster) == (expected or ["10.0.0.1", "10.0.0.2"])


def test_slices_are_merged_and_ordered_as_text():
    one = endpoint_slice(host("10.0.0.9"), host("10.0.0.10"))
    two = endpoint_slice(host("10.0.0.9", nodeName="alpha"), host("10.0.0.100"))
    (merged,) = endpoints([one, two], "ipv4", "alpha", []).values()
    assert [(ep.text, ep.local) for ep in merged] == [
        ("10.0.0.100:8080", False),
        ("10.0.0.10:8080", False),
        ("10.0.0.9:8080", True),
    ]


def test_endpoints_that_cannot_be_used():
    complaints = []
    mixed = endpoint_slice(
        host("fd00::1"), {"addresses": []}, ports=[{"name": "", "port": 8080}, {"port": 0}]
    )
    assert endpoints([mixed], "ipv4", "alpha", complaints) == {("", "tcp"): []}
    assert [c.field for c in complaints] == [
        "ports[1].port",
        "endpoints[0].addresses",
        "endpoints[1].addresses",
    ]
    assert endpoints([endpoint_slice(host("10.0.0.1"))], "ipv6", "alpha", []) == {}


def test_no_jump_leads_nowhere_and_no_chain_is_unused():
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "internalTrafficPolicy": "Local",
        "sessionAffinity": "ClientIP",
        "loadBalancerSourceRanges": ["10.10.11.0/24"],
        "ports": [{"port": 80, "nodePort": 30080}],
    }
    whole = service(spec, loadBalancer={"ingress": [{"ip": "192.0.2.1"}]})
    for hosts in ([host("10.0.0.1")], [host("10.0.0.1", nodeName="alpha")], []):
        rules = compile_service(whole, [endpoint_slice(*hosts)], NODE)
        texts = [rule for own in rules.chains.values() for rule in own]
        texts += [rule for shared in rules.shared.values() for rule in shared]
        jumped = {parse_rule(text).target for text in texts}
        assert {name for name in jumped if name.startswith("KUBE-S")} <= rules.chains.keys()
        assert rules.chains.keys() <= jumped


# Text


def test_text_comes_back_the_same():
    text = (
        "*nat\n:PREROUTING ACCEPT [5:300]\n:OTHERS - [0:0]\n"
        '[2:120] -A PREROUTING -m comment --comment "it\\"s \\\\ fine" -j OTHERS\n'
        "[0:0] -A OTHERS\nCOMMIT\n"
    )
    assert render(parse(text)) == text


def test_restoring_declares_chains_unsorted_but_the_same():
    text = "*nat\n:PREROUTING ACCEPT [0:0]\n:A-Z - [0:0]\n:Z-A - [0:0]\nCOMMIT\n"
    declared = render_restore(parse(text)).splitlines()
    assert declared[1:4] == [":PREROUTING ACCEPT [0:0]", ":Z-A - [0:0]", ":A-Z - [0:0]"]


@pytest.mark.parametrize(
    "text, line",
    [
        ("hello\n", 1),
        ("*nat\n-A NOWHERE -j ACCEPT\nCOMMIT\n", 2),
        ("*nat\n:CHAIN\nCOMMIT\n", 2),
        ("*nat\n:A - [0:0]\n-D A 1\nCOMMIT\n", 3),
        ("*nat\n:A - [0:0]\n", 2),
        ("*nat\n*filter\n", 2),
        ("\x00\x01\x02", 1),
        ("COMMIT\n", 1),
    ],
)
def test_text_that_is_no_iptables_save(text, line):
    with pytest.raises(InputError) as raised:
        parse(text, file="save.txt")
    assert (raised.value.problems[0].file, raised.value.problems[0].line) == ("save.txt", line)


def test_a_rule_taken_apart():
    rule = parse_rule(
        '! -s 10.0.0.0/8 --protocol tcp -m comment --comment "-j NOT \\"this\\"" '
        "-m conntrack ! --ctstate NEW -m tcp -g AWAY"
    )
    assert [str(condition) for condition in rule.conditions] == [
        "! -s 10.0.0.0/8",
        "-p tcp",
        '--comment -j NOT "this"',
        "! --ctstate NEW",
    ]
    assert (rule.target, rule.goto, rule.comment) == ("AWAY", True, '-j NOT "this"')
    assert rule.modules == ("comment", "conntrack", "tcp")


def test_quoted_words_are_one():
    assert tokens('--comment "two words" -j X') == ["--comment", "two words", "-j", "X"]


@pytest.mark.parametrize(
    "comment, port",
    [
        ("town/web:http cluster IP", "town/web:http"),
        ("town/web -> 10.0.0.1:80", "town/web"),
        ("masquerade LOCAL traffic for town/web:http external destinations", "town/web:http"),
        ("other traffic to town/web will be dropped by KUBE-PROXY-FIREWALL", "town/web"),
        ("kubernetes service portals", None),
    ],
)
def test_whose_a_rule_is(comment, port):
    assert owners.service_port(f'-m comment --comment "{comment}" -j X') == port
