"""What the kernel's and iptables' texts say."""

from __future__ import annotations

from collections import Counter

from netlab.kernel.counters import snmp, snmp6
from netlab.proxy.iptables.parse import parse
from netlab.traffic.refusals import counted, more

SNMP = """\
Ip: Forwarding DefaultTTL
Ip: 1 64
Icmp: InMsgs OutDestUnreachs
Icmp: 3 7
Tcp: RtoAlgorithm MaxConn RetransSegs
Tcp: 1 -1 12
"""
SAVE = r"""
*filter
:INPUT ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:OTHERS - [0:0]
[5:300] -A KUBE-SERVICES -d 10.96.0.7/32 -p tcp -m comment --comment "default/web:http has no endpoints" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable
[2:120] -A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment "default/web:http has no endpoints" -m addrtype --dst-type LOCAL -m tcp --dport 30080 -j REJECT --reject-with icmp-port-unreachable
[9:540] -A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment "default/far has no local endpoints" -m tcp --dport 30081 -j DROP
[4:540] -A KUBE-SERVICES -p tcp -m comment --comment "x\e[2J has no endpoints" -j REJECT --reject-with icmp-port-unreachable
[4:540] -A OTHERS -p tcp -m comment --comment "default/b has no endpoints" -j REJECT --reject-with icmp-port-unreachable
COMMIT
"""  # noqa: E501


def test_snmp() -> None:
    assert snmp(SNMP)["Tcp.RetransSegs"] == 12
    assert snmp(SNMP)["Tcp.MaxConn"] == -1
    assert snmp(SNMP)["Icmp.OutDestUnreachs"] == 7
    assert snmp("") == {}
    assert snmp6("Icmp6OutDestUnreachs           \t4\nIp6InReceives  9\n") == {
        "Icmp6OutDestUnreachs": 4, "Ip6InReceives": 9
    }  # fmt: skip


def test_refusals_are_of_kube_proxys_rules() -> None:
    assert counted(parse(SAVE.replace(r"\e", "\x1b"), file="x")) == Counter({"default/web:http": 7})


def test_a_counter_that_is_smaller_has_begun_again() -> None:
    before, now = Counter({"a": 5, "b": 9, "c": 1}), Counter({"a": 7, "b": 2, "d": 3})
    assert more(before, now) == Counter({"a": 2, "b": 2, "d": 3})
