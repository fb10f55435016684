"""CoreDNS' `file` and `hosts` on paper: zone files, and what is answered from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from coredns_on_paper import Server, query, shown, told

from netlab.workload.inside import dnsfiles, dnswire
from netlab.workload.inside.corefile import Malformed
from netlab.workload.inside.dnszonefile import NoZone, ZoneFile, parse

ZONE = """\
$TTL 1h
@       IN SOA ns1 admin.example.org. (
            2024010101 ; serial
            2h 15m 4w  ; refresh, retry, expire
            5m )
        IN NS  ns1
        IN MX  10 mail
ns1     A      192.0.2.53
Mail 60 IN A   192.0.2.25
www     IN 30 CNAME web
web     A      192.0.2.80
        AAAA   2001:db8::80
        TXT    "one; two" plain
far     CNAME  elsewhere.test.
_http._tcp SRV 0 5 80 web
*.any   A      192.0.2.99
a.deep  A      192.0.2.7
loop    CNAME  loop
sub     NS     ns.sub
ns.sub  A      192.0.2.54
$ORIGIN more.example.org.
x       A      192.0.2.8
outside.test. A 192.0.2.9
"""
SOA = "example.org. SOA"


def file_of(tmp_path: Path, text: str = ZONE) -> str:
    path = tmp_path / "db.example.org"
    path.write_text(text)
    return str(path)


def served(path: str, more: str = "") -> Server:
    return Server(f"example.org {{\n file {path} {{\n{more}\n}}\n}}\n. {{\n whoami\n}}")


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers"),
    [
        ("web.example.org.", "A", "NOERROR", ["web.example.org. A 192.0.2.80"]),
        ("WEB.example.org.", "A", "NOERROR", ["web.example.org. A 192.0.2.80"]),
        (
            "www.example.org.", "A", "NOERROR",
            ["www.example.org. CNAME web.example.org.", "web.example.org. A 192.0.2.80"],
        ),
        ("www.example.org.", "CNAME", "NOERROR", ["www.example.org. CNAME web.example.org."]),
        ("example.org.", "MX", "NOERROR", ["example.org. MX mail.example.org."]),
        ("_http._tcp.example.org.", "SRV", "NOERROR",
         ["_http._tcp.example.org. SRV 80 web.example.org."]),
        ("b.any.example.org.", "A", "NOERROR", ["b.any.example.org. A 192.0.2.99"]),
        ("c.b.any.example.org.", "A", "NOERROR", ["c.b.any.example.org. A 192.0.2.99"]),
        ("x.more.example.org.", "A", "NOERROR", ["x.more.example.org. A 192.0.2.8"]),
        ("web.example.org.", "SRV", "NOERROR", []),
        ("deep.example.org.", "A", "NOERROR", []),  # only something below it
        ("none.example.org.", "A", "NXDOMAIN", []),
        ("none.a.deep.example.org.", "A", "NXDOMAIN", []),
        ("loop.example.org.", "A", "SERVFAIL", None),
    ],
)  # fmt: skip
def test_what_a_zone_file_answers(
    tmp_path: Path, name: str, kind: str, code: str, answers: list[str] | None
) -> None:
    said = served(file_of(tmp_path)).ask(name, kind)
    assert dnswire.RCODES[said.code] == code
    if answers is not None:
        assert told(said)[1] == answers
    if code == "NXDOMAIN" or (not said.answers and code == "NOERROR"):
        (start,) = said.authority
        assert (start.kind, start.ttl) == (dnswire.SOA, 3600)
    assert said.flags & 0x0400 or code == "SERVFAIL", "with authority"


def test_lifetimes_and_texts(tmp_path: Path) -> None:
    server = served(file_of(tmp_path))
    for name, kind, ttl in (("web", "A", 3600), ("mail", "A", 60), ("www", "CNAME", 30)):
        assert server.ask(f"{name}.example.org.", kind).answers[0].ttl == ttl
    (text,) = server.ask("web.example.org.", "TXT").answers
    assert text.data == b"\x08one; two\x05plain"
    said = server.ask("example.org.", "SOA").answers[0]
    assert said.data.endswith(b"".join(n.to_bytes(4, "big") for n in
                                       (2024010101, 7200, 900, 2419200, 300)))  # fmt: skip


def test_what_belongs_to_an_answer_comes_with_it(tmp_path: Path) -> None:
    server = served(file_of(tmp_path))
    said = server.ask("_http._tcp.example.org.", "SRV")
    assert {dnswire.TYPES[each.kind] for each in said.additional} == {"A", "AAAA"}
    assert [shown(each) for each in said.authority] == ["example.org. NS ns1.example.org."]


def test_a_part_that_others_have(tmp_path: Path) -> None:
    said = served(file_of(tmp_path)).ask("host.sub.example.org.", "A")
    assert (said.code, said.answers, said.flags & 0x0400) == (dnswire.NOERROR, (), 0)
    assert [shown(each) for each in said.authority] == ["sub.example.org. NS ns.sub.example.org."]
    assert [shown(each) for each in said.additional] == ["ns.sub.example.org. A 192.0.2.54"]


def test_an_alias_that_leads_elsewhere_is_followed_by_the_whole_server(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    server = Server(
        f"example.org {{\n file {path}\n}}\n"
        ". {\n hosts /none {\n 10.0.0.9 elsewhere.test\n fallthrough\n }\n}"
    )
    said = told(server.ask("far.example.org.", "A"))
    assert said == ("NOERROR", ["far.example.org. CNAME elsewhere.test.",
                                "elsewhere.test. A 10.0.0.9"])  # fmt: skip


def test_kubernetes_is_asked_before_and_what_falls_through_after(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    server = Server(f". {{\n file {path} example.org {{\n fallthrough\n }}\n whoami\n}}")
    assert told(server.ask("web.example.org.", "A"))[1] == ["web.example.org. A 192.0.2.80"]
    assert server.ask("none.example.org.").additional, "whoami answers"
    assert server.ask("none.test.").additional


def test_a_changed_file_is_taken_with_its_serial(tmp_path: Path, monkeypatch: Any) -> None:
    now = 100.0
    monkeypatch.setattr(dnsfiles.time, "monotonic", lambda: now)
    path = file_of(tmp_path)
    server = served(path, "reload 10s")
    changed = ZONE.replace("192.0.2.80", "192.0.2.81")

    def answer() -> str:
        return told(server.ask("web.example.org.", "A"))[1][0].split()[-1]

    Path(path).write_text(changed)
    now += 11
    assert answer() == "192.0.2.80", "the serial is the same"
    Path(path).write_text(changed.replace("2024010101", "2024010102"))
    now += 5
    assert answer() == "192.0.2.80", "it is not time"
    now += 6
    assert answer() == "192.0.2.81"
    Path(path).write_text("nonsense")
    now += 11
    assert answer() == "192.0.2.81"


def test_a_file_that_is_not_there_yet_fails_until_it_is(tmp_path: Path, monkeypatch: Any) -> None:
    now = 100.0
    monkeypatch.setattr(dnsfiles.time, "monotonic", lambda: now)
    server = served(str(tmp_path / "db.example.org"))
    assert server.ask("web.example.org.").code == dnswire.SERVFAIL
    file_of(tmp_path)
    now += 61
    assert server.ask("web.example.org.").code == dnswire.NOERROR


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("web A 192.0.2.1\n", "has no SOA record for origin example.org."),
        (
            "@ SOA ns admin 1 2 3 4\n",
            "dns: no record: example.org. SOA ns",
        ),
        ("@ SOA ns admin (\n 1 2 3 4 5\n", "dns: unbalanced brace at line: 1"),
        ("\n\nweb A\n", "dns: no record: web.example.org. A  at line: 3"),
        ("web A fd00::1\n", "at line: 1"),
        ("web IN NONE x\n", 'dns: unknown RR type: "NONE" at line: 1'),
        ("web MX many mail\n", "at line: 1"),
        ("web MX 99999 mail\n", "at line: 1"),
        ("$INCLUDE other\n", "dns: $INCLUDE is not read here at line: 1"),
        ("$TTL soon\n", 'dns: bad TTL: "soon" at line: 1'),
        ('web TXT "open\n', "at line: 1"),
        ("web\n", "dns: no type at line: 1"),
    ],
)
def test_what_is_no_zone_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(NoZone) as error:
        ZoneFile(text, "example.org.", "db")
    assert words in str(error.value)
    with pytest.raises(Malformed, match="Corefile:2 - Error during parsing: "):
        served(file_of(tmp_path, text))


def test_names_of_a_text() -> None:
    found = parse("a A 10.0.0.1\n\tA 10.0.0.2\n$ORIGIN b\nc A 10.0.0.3\n", "test.")
    assert [(each.name, each.data[-1]) for each in found] == [
        ("a.test.", 1), ("a.test.", 2), ("c.b.test.", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("reload soon", 'Corefile:3 - Error during parsing: time: invalid duration "soon"'),
        ("transfer to *", "netlab's stand-in has no 'transfer' of file"),
    ],
)
def test_options_that_are_refused(tmp_path: Path, options: str, words: str) -> None:
    with pytest.raises(Malformed) as error:
        served(file_of(tmp_path), options)
    assert words in str(error.value)
    with pytest.raises(Malformed, match="Wrong argument count"):
        Server("example.org {\n file\n}")


def test_hosts_are_those_of_its_zones(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("10.0.0.1 a.test  # one\n10.0.0.2 b.other\n")
    server = Server(f". {{\n hosts {file} test {{\n 10.0.0.3 c.test\n }}\n whoami\n}}")
    assert told(server.ask("a.test."))[1] == ["a.test. A 10.0.0.1"]
    assert told(server.ask("c.test."))[1] == ["c.test. A 10.0.0.3"]
    assert server.ask("none.test.").code == dnswire.SERVFAIL
    assert server.ask("b.other.").additional, "not its zone's: whoami answers"
    pointer = server.whole(query("1.0.0.10.in-addr.arpa.", "PTR"))
    assert told(dnswire.unpack(pointer))[1] == ["1.0.0.10.in-addr.arpa. PTR a.test."]
