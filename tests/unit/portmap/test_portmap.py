"""Host ports as portmap's rules, in both modes; and where their packets go by these."""

import pytest

from netlab.objects.hostports import host_ports
from netlab.portmap import iptables, mappings
from netlab.portmap.mappings import mapped
from netlab.proxy.iptables.render import render
from netlab.proxy.nftables.render import render as render_table
from netlab.simulation.iptables import simulate
from netlab.simulation.packet import Packet

CIDR, CIDR6, NODE_IP = "10.244.1.0/24", "fd00:10:244:1::/64", "10.10.11.11"
IPS = ("10.244.1.7", "fd00:10:244:1::7")


def pod(*ports, uid="u1", **spec):
    container = {"name": "c", "ports": [{"containerPort": 80} | port for port in ports]}
    return {"metadata": {"name": "p", "uid": uid}, "spec": {"containers": [container]} | spec}


def rules(*pods, family="ipv4", mode="iptables"):
    return mappings.rules(mode, pods, family, CIDR if family == "ipv4" else CIDR6)


def test_only_pods_with_a_network_and_ports_of_their_own_are_mapped():
    assert mapped(pod({}), IPS) is None
    assert mapped(pod({"hostPort": 80}, hostNetwork=True), IPS) is None
    assert rules() is None
    assert rules(mapped(pod({"hostPort": 80}), IPS[:1]), family="ipv6") is None


def test_init_containers_ports_are_not_mapped():
    """Kubelets hand runtimes those of `containers` alone, and claim those of sidecars."""
    ports = [{"containerPort": 80, "hostPort": 81}]
    inits = [
        {"name": "i", "ports": ports},
        {"name": "s", "ports": ports, "restartPolicy": "Always"},
    ]
    both = pod({"hostPort": 80}, initContainers=inits)
    assert [one.host_port for one in mapped(both, IPS).mappings] == [80]
    assert [claim.port for claim in host_ports(both)] == [80, 81]
    assert mapped(pod({}, initContainers=inits), IPS) is None


def test_the_chains_are_portmap_s():
    web = mapped(pod({"hostPort": 8080}, {"hostPort": 53, "protocol": "UDP"}), IPS)
    chain = iptables.chain_name(web)
    comment = rf'-m comment --comment "dnat name: \"netlab\" id: \"{web.sandbox}\""'
    assert len(chain) == 28 and len(web.sandbox) == 64
    assert render(rules(web)).splitlines() == [
        "*nat",
        ":PREROUTING ACCEPT [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        ":POSTROUTING ACCEPT [0:0]",
        f":{chain} - [0:0]",
        ":CNI-HOSTPORT-DNAT - [0:0]",
        ":CNI-HOSTPORT-MASQ - [0:0]",
        ":CNI-HOSTPORT-SETMARK - [0:0]",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" '
        "-j CNI-HOSTPORT-MASQ",
        f"-A {chain} -s {CIDR} -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.244.1.7:80",
        f"-A {chain} -s {CIDR} -p udp -m udp --dport 53 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -s 127.0.0.1/32 -p udp -m udp --dport 53 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -p udp -m udp --dport 53 -j DNAT --to-destination 10.244.1.7:80",
        f"-A CNI-HOSTPORT-DNAT -p tcp {comment} -m multiport --dports 8080 -j {chain}",
        f"-A CNI-HOSTPORT-DNAT -p udp {comment} -m multiport --dports 53 -j {chain}",
        "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
        '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" '
        "-j MARK --set-xmark 0x2000/0x2000",
        "COMMIT",
    ]


def test_an_address_of_one_family_is_none_of_the_other():
    both = mapped(pod({"hostPort": 81}, {"hostPort": 82, "hostIP": "127.0.0.1"}), IPS)
    v4, v6 = (render(rules(both, family=family)) for family in ("ipv4", "ipv6"))
    assert "-d 127.0.0.1/32 -p tcp -m tcp --dport 82 -j DNAT" in v4
    assert "--dport 81 -j DNAT --to-destination [fd00:10:244:1::7]:80" in v6
    assert "--dport 82" not in v6 and "127.0.0.1" not in v6
    everywhere = mapped(pod({"hostPort": 83, "hostIP": "0.0.0.0"}), IPS)
    assert "-d" not in render(rules(everywhere)).split() and "83" in render(rules(everywhere))


def test_addresses_are_spelt_as_the_kernel_spells_them():
    odd = mapped(
        pod({"hostPort": 84, "hostIP": "FD00:0::0A"}, {"hostPort": 85, "hostIP": "::"}), IPS
    )
    text = render(rules(odd, family="ipv6"))
    assert "-d fd00::a/128 -p tcp -m tcp --dport 84 -j DNAT" in text
    assert "-p tcp -m tcp --dport 85 -j DNAT" in text and "-d ::" not in text
    assert "ip6 daddr fd00::a tcp dport 84" in render_table(
        rules(odd, family="ipv6", mode="nftables")
    )


def test_many_ports_are_listed_fifteen_at_a_time():
    many = mapped(pod(*({"hostPort": 9000 + n} for n in range(16))), IPS)
    entries = [line for line in render(rules(many)).splitlines() if "--dports" in line]
    assert [line.count(",") for line in entries] == [14, 0]


def test_the_table_is_portmap_s():
    web = mapped(pod({"hostPort": 8080}, {"hostPort": 53, "hostIP": "127.0.0.1"}), IPS)
    text = render_table(rules(web, mode="nftables"))
    assert text.startswith("table ip cni_hostport {")
    for chain, *lines in (
        ("hostports", f'tcp dport 8080 dnat to 10.244.1.7:80 comment "{web.sandbox}"'),
        (
            "hostip_hostports",
            f'ip daddr 127.0.0.1 tcp dport 53 dnat to 10.244.1.7:80 comment "{web.sandbox}"',
        ),
        (
            "prerouting",
            "type nat hook prerouting priority dstnat; policy accept;",
            "jump hostip_hostports",
            "fib daddr type local jump hostports",
        ),
        (
            "masquerading",
            "type nat hook postrouting priority srcnat; policy accept;",
            f'ip saddr 10.244.1.7 ip daddr 10.244.1.7 masquerade comment "{web.sandbox}"',
            f'ip saddr 127.0.0.1 ip daddr 10.244.1.7 masquerade comment "{web.sandbox}"',
        ),
    ):
        assert f"\tchain {chain} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}" in text


PAIR = (
    mapped(pod({"hostPort": 8080}, {"hostPort": 36, "protocol": "SCTP"}), IPS),
    mapped(pod({"hostPort": 81, "hostIP": "127.0.0.1"}, uid="u2"), ("10.244.1.8",)),
)


@pytest.mark.parametrize(
    "packet, entry, endpoint, masqueraded",
    [
        (("192.0.2.9", NODE_IP, "tcp", 8080), "PREROUTING", ("10.244.1.7", 80), False),
        (("192.0.2.9", NODE_IP, "sctp", 36), "PREROUTING", ("10.244.1.7", 80), False),
        (("10.244.1.7", NODE_IP, "tcp", 8080), "PREROUTING", ("10.244.1.7", 80), True),
        (("127.0.0.1", "127.0.0.1", "tcp", 8080), "OUTPUT", ("10.244.1.7", 80), True),
        (("127.0.0.1", "127.0.0.1", "tcp", 81), "OUTPUT", ("10.244.1.8", 80), True),
        (("192.0.2.9", NODE_IP, "tcp", 81), "PREROUTING", None, False),
        (("192.0.2.9", NODE_IP, "udp", 8080), "PREROUTING", None, False),
        (("192.0.2.9", "10.10.11.12", "tcp", 8080), "PREROUTING", None, False),
    ],
)
def test_packets_end_where_the_port_leads(packet, entry, endpoint, masqueraded):
    source, destination, protocol, port = packet
    sent = Packet(source, destination, protocol, port, local=frozenset({NODE_IP}))
    (outcome,) = simulate(rules(*PAIR), sent, entry=entry)
    assert (outcome.endpoint, outcome.masqueraded) == (endpoint, masqueraded)
    assert (outcome.verdict, outcome.unknown) == ("ACCEPT", ())
