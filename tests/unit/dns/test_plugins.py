"""What stands before the cluster's dnsmasqs: `rewrite`, `template` and `file`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from coredns_on_paper import query, told

from netlab.dns.configmaps import asked
from netlab.dns.corefile import CorefileError
from netlab.dns.forwarding import Forwarding, to_json
from netlab.dns.plugins import Asking, Plugins
from netlab.workload.inside import dnswire

DOMAIN, OWN = "cluster.local", ("172.16.110.1",)
WEB = "web.default.svc.cluster.local."
ZONE = f"@ 60 SOA ns admin 1 1h 15m 4w 5m\nwww A 192.0.2.80\nfar CNAME {WEB}\n"


def read(text: str, **files: str) -> Forwarding:
    return asked("coredns", {"Corefile": text, **files}, DOMAIN, OWN)


def plugins(text: str, **files: str) -> Plugins:
    sent = msgspec.json.encode(to_json(read(text, **files), DOMAIN))
    return Plugins(msgspec.json.decode(sent))  # as it arrives in the process


def answered(
    found: Plugins, name: str, kind: str = "A", *, records: Sequence[str] = ()
) -> tuple[str, str, list[str]]:
    """What is asked on, how it ends, and with what, where the dnsmasqs say `records`."""
    packet = query(name, kind, edns=True).message
    given = found.begin(packet, stream=False)
    if given is None:
        return name, "", []
    if isinstance(given, bytes):
        return "", *told(dnswire.unpack(given))
    assert isinstance(given, Asking)
    on = dnswire.read(given.packet)
    reply = given.finish(dnswire.answer(on, dnswire.NOERROR, map(dnswire.spoken, records)))
    assert reply[:2] == packet[:2]
    said = dnswire.unpack(reply)
    assert said.question == packet[12 : query(name, kind).end], "the question is the client's"
    return on.name, *told(said)


RULES = ". {{\n rewrite {}\n kubernetes cluster.local\n forward . /etc/resolv.conf\n}}"


@pytest.mark.parametrize(
    ("rule", "name", "asks", "record", "answer"),
    [
        (f"name web.test {WEB}", "web.test.", WEB, f"{WEB} A 10.96.0.7", "web.test. A 10.96.0.7"),
        (f"name exact web.test {WEB}", "Web.Test.", WEB, f"{WEB} A 10.0.0.7",
         "web.test. A 10.0.0.7"),
        ("name suffix .test. .default.svc.cluster.local. answer auto", "web.test.", WEB,
         f"{WEB} A 10.96.0.7", "web.test. A 10.96.0.7"),
        ("name prefix old- new- answer auto", "old-a.test.", "new-a.test.",
         "new-a.test. A 10.0.0.1", "old-a.test. A 10.0.0.1"),
        ("name substring stage prod answer auto", "a.stage.test.", "a.prod.test.",
         "a.prod.test. A 10.0.0.1", "a.stage.test. A 10.0.0.1"),
        (r"name regex (.*)\.my\.org {1}.default.svc.cluster.local answer name "
         r"(.*)\.default\.svc\.cluster\.local {1}.my.org", "web.my.org.", WEB,
         f"{WEB} A 10.0.0.7", "web.my.org. A 10.0.0.7"),
        ("name prefix old- new-", "old-a.test.", "new-a.test.", "new-a.test. A 10.0.0.1",
         "new-a.test. A 10.0.0.1"),
    ],
)  # fmt: skip
def test_names_are_rewritten(rule: str, name: str, asks: str, record: str, answer: str) -> None:
    assert read(RULES.format(rule)).notes == ()
    found = plugins(RULES.format(rule))
    assert answered(found, name, records=[record]) == (asks, "NOERROR", [answer])
    other = ["other.example. A 10.0.0.9"]
    assert answered(found, "other.example.", records=other) == ("other.example.", "NOERROR", other)


def test_lifetimes_of_answers_are_rewritten() -> None:
    found = plugins(RULES.format("ttl suffix test 30-60"))
    given = found.begin(query("a.test.").message, stream=True)
    assert isinstance(given, Asking)
    reply = dnswire.answer(query("a.test."), 0, [dnswire.spoken("a.test. 5 IN A 10.0.0.1")])
    assert dnswire.unpack(given.finish(reply)).answers[0].ttl == 30


def test_a_template_answers_before_anybody_is_asked() -> None:
    text = (
        ". {\n template IN A test {\n  match ^ip-(.*)[.]test[.]$\n"
        '  answer "{{ .Name }} 60 IN A 10.0.0.{{ index .Match 1 }}"\n  fallthrough\n }\n'
        " forward . 10.0.0.2\n}"
    )
    found = plugins(text)
    assert answered(found, "ip-7.test.") == ("", "NOERROR", ["ip-7.test. A 10.0.0.7"])
    assert answered(found, "other.test.")[0] == "other.test."


def test_a_zone_file_is_a_key_of_the_configmap() -> None:
    text = (
        "example.org {\n file /etc/coredns/db.example.org\n}\n"
        ". {\n kubernetes cluster.local\n forward . /etc/resolv.conf\n}"
    )
    files = {"db.example.org": ZONE, "unused": "x"}
    assert read(text, **files).files == (("/etc/coredns/db.example.org", ZONE),)
    found = plugins(text, **files)
    assert answered(found, "www.example.org.") == (
        "", "NOERROR", ["www.example.org. A 192.0.2.80"],
    )  # fmt: skip
    assert answered(found, "none.example.org.")[1] == "NXDOMAIN"
    assert answered(found, "far.example.org.", records=[f"{WEB} A 10.96.0.7"]) == (
        WEB, "NOERROR", [f"far.example.org. CNAME {WEB}", f"{WEB} A 10.96.0.7"],
    )  # fmt: skip
    assert answered(found, WEB) == (WEB, "", []), "that block has none: it is passed on as it is"


def test_the_cluster_s_own_names_are_kubernetes_s_and_no_file_s() -> None:
    text = ". {\n kubernetes cluster.local\n file /etc/coredns/db cluster.local\n}"
    assert answered(plugins(text, db=ZONE), WEB)[0] == WEB


def test_where_nobody_is_to_be_asked_nobody_is() -> None:
    text = "test {\n rewrite name a.test b.test\n}\n. {\n forward . 10.0.0.2\n}"
    found = plugins(text)
    assert answered(found, "a.test.")[:2] == ("", "SERVFAIL")


def test_a_rewritten_name_is_asked_of_the_block_it_was_rewritten_in() -> None:
    text = (
        "b.test {\n forward . 10.0.0.3\n}\n. {\n rewrite name a.test x.b.test\n"
        " rewrite name a2.test x.c.test\n rewrite name a3.test web.default.svc.cluster.local\n"
        " kubernetes cluster.local\n forward c.test 10.0.0.4\n forward . 10.0.0.2:5353 10.0.0.9\n}"
    )
    found, asked = plugins(text), []
    for name in ("a.test.", "a2.test.", "a3.test.", "other.test."):
        given = found.begin(query(name).message, stream=False)
        assert isinstance(given, Asking)
        asked.append(given.servers)
    assert asked == [(("10.0.0.2", 5353), ("10.0.0.9", 53)), (), (), ()]


def test_what_is_none_of_ours_is_passed_on() -> None:
    found = plugins(RULES.format("name a.test b.test"))
    for packet in (b"", b"\0" * 12, query("a.test.").message[:20], b"\1\2\x81\0\0\1" + b"\0" * 12):
        assert found.begin(packet, stream=False) is None


def test_names_that_become_too_long_fail() -> None:
    found = plugins(RULES.format(f"name suffix .test. .{'a' * 60}.{'b' * 60}.test."))
    name = f"{'c' * 60}.{'d' * 60}.{'e' * 60}.test."
    assert answered(found, name)[1] == "SERVFAIL"


def test_an_answer_that_does_not_fit_is_cut_off() -> None:
    found = plugins(RULES.format("name prefix a b answer auto"))
    given = found.begin(query("a.test.").message, stream=False)
    assert isinstance(given, Asking)
    many = [dnswire.spoken(f"b.test. A 10.0.{n // 256}.{n % 256}") for n in range(60)]
    reply = given.finish(dnswire.answer(dnswire.read(given.packet), 0, many))
    assert len(reply) <= 512 and dnswire.unpack(reply).flags & dnswire.TRUNCATED


def test_what_is_lacking_is_told_and_what_is_wrong_is_refused() -> None:
    found = read(". {\n rewrite edns0 local set 0xffee a\n file /etc/coredns/none x.test\n}")
    assert [note.split(":")[1] for note in found.notes] == ["2 - Error during parsing", "3"]
    assert "rewrites name, type and ttl alone: it is left out" in found.notes[0]
    assert found.notes[1] == "Corefile:3: the ConfigMap has no none: names of its zones fail"
    (block,) = found.blocks
    assert [each.name for each in block.directives] == ["file"]
    for text in (
        ". {\n rewrite name regex ( b\n}",
        ". {\n template IN NONE\n}",
        ". {\n file /etc/coredns/bad x.test\n}",
    ):
        with pytest.raises(CorefileError, match="Corefile:2 - Error during parsing: "):
            read(text, bad="nonsense")


def test_hosts_may_stand_in_a_key() -> None:
    text = (
        ". {\n hosts /etc/coredns/own test {\n 10.0.0.9 b.test\n fallthrough\n }\n"
        " forward . 10.0.0.2\n}"
    )
    found = read(text, own="10.0.0.8 a.test  # mine\n")
    assert found.notes == ()
    made = plugins(text, own="10.0.0.8 a.test  # mine\n")
    assert answered(made, "a.test.") == ("", "NOERROR", ["a.test. A 10.0.0.8"])
    assert answered(made, "b.test.") == ("", "NOERROR", ["b.test. A 10.0.0.9"])
    assert answered(made, "9.0.0.10.in-addr.arpa.", "PTR")[2] == [
        "9.0.0.10.in-addr.arpa. PTR b.test."
    ]
    for other in ("c.test.", "example.org.", "8.8.8.8.in-addr.arpa."):
        assert answered(made, other)[0] == other


def test_hosts_answers_no_other_name_of_its_zones_unless_it_falls_through() -> None:
    """As CoreDNS: without a SOA to deny with, it fails; and kubernetes is behind it."""
    lines = "10.0.0.9 b.test\n ttl 60\n"
    found = plugins(f". {{\n hosts {{\n {lines} }}\n kubernetes cluster.local\n}}")
    given = found.begin(query("b.test.").message, stream=False)
    assert isinstance(given, bytes) and dnswire.unpack(given).answers[0].ttl == 60
    assert answered(found, WEB)[:2] == ("", "SERVFAIL")
    assert answered(found, "9.9.9.9.in-addr.arpa.", "PTR")[0] == "9.9.9.9.in-addr.arpa."
    some = plugins(f". {{\n hosts {{\n {lines} fallthrough cluster.local\n }}\n kubernetes\n}}")
    assert answered(some, WEB)[0] == WEB
    assert answered(some, "c.test.")[:2] == ("", "SERVFAIL")
