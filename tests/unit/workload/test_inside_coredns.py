"""CoreDNS' stand-in on paper: a Corefile, questions, and what is answered."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from coredns_on_paper import Server, query, shown, told

from netlab.workload.inside import dnscache, dnswire, dnszones
from netlab.workload.inside.corefile import Malformed
from netlab.workload.inside.dnswire import Query

# -- messages ----------------------------------------------------------------------------------

RECORDS = (
    "web.test. 60 IN A 10.0.0.1",
    "web.test. AAAA fd00::1",
    "mail.web.test. 5 IN MX 10 web.test.",
    "alias.test. 5 IN CNAME web.test.",
    "_http._tcp.web.test. 5 IN SRV 0 100 80 a.web.test.",
    'web.test. 5 IN TXT "one two"',
    "test. 5 IN SOA ns.test. admin.test. 1 2 3 4 5",
)


def test_what_is_put_together_is_taken_apart_again() -> None:
    records = tuple(map(dnswire.spoken, RECORDS))
    asked = query("web.test.", edns=True)
    said = dnswire.answer(asked, dnswire.NOERROR, records[:4], records[4:6], records[6:])
    found = dnswire.unpack(said)
    assert found.answers == records[:4] and found.authority == records[4:6]
    assert found.additional[0] == records[6] and found.additional[1].kind == dnswire.OPT
    assert dnswire.pack(found) == said
    names = sum(len(dnswire.written(record.name)) for record in records)
    data = sum(len(record.data) + 10 for record in records)
    assert len(said) < 12 + len(found.question) + names + data, "names are pointed to"
    assert b"Web\4Test" in dnswire.answer(query("Web.Test."), 0), "as it was asked"


@pytest.mark.parametrize("cut", range(12, 60, 3))
def test_what_is_cut_off_is_no_message(cut: int) -> None:
    said = dnswire.answer(query("web.test."), 0, map(dnswire.spoken, RECORDS))
    with pytest.raises(ValueError):
        dnswire.unpack(said[:cut])


def test_a_name_that_points_to_itself_is_none() -> None:
    with pytest.raises(ValueError):
        dnswire.unpack(b"\0\1\x80\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1")


@pytest.mark.parametrize(
    "text", ["web.test.", "web.test. IN A web", "a. 5 IN A fd00::1", "a. MX 1"]
)
def test_what_is_no_record(text: str) -> None:
    with pytest.raises(ValueError):
        dnswire.spoken(text)


# -- cache -------------------------------------------------------------------------------------


class Upstream:
    """Says `said`, and counts."""

    def __init__(self, *said: tuple[int, Sequence[str], Sequence[str]]) -> None:
        self.said, self.asked = list(said), 0

    def __call__(self, asked: Query) -> bytes:
        code, answers, authority = self.said[min(self.asked, len(self.said) - 1)]
        self.asked += 1
        made = [map(dnswire.spoken, texts) for texts in (answers, authority)]
        return dnswire.answer(asked, code, *made)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


FOUND = (dnswire.NOERROR, ["web.test. 60 IN A 10.0.0.1"], [])
SOA = ["test. 300 IN SOA ns.test. admin.test. 1 2 3 4 5"]


def cached(options: str = "cache 30", **_: object) -> tuple[dnscache.Cache, Clock]:
    made = Server(f". {{\n {options}\n forward . 10.0.0.1\n}}").reading.caches[0]
    made._clock = clock = Clock()
    return made, clock


def ttls(said: bytes) -> list[int]:
    found = dnswire.unpack(said)
    return [record.ttl for record in (*found.answers, *found.authority)]


def test_an_answer_is_given_again_until_its_time_is_over() -> None:
    cache, clock = cached()
    upstream = Upstream(FOUND)
    said = cache(query("web.test."), upstream)
    assert ttls(said) == [30], "at most so long"
    clock.now = 12
    again = cache(query("WEB.test.", edns=True), upstream)
    assert ttls(again) == [18] and upstream.asked == 1
    assert again[:2] == b"\1\2" and b"WEB" in again
    assert dnswire.unpack(again).additional[0].kind == dnswire.OPT
    clock.now = 31
    assert ttls(cache(query("web.test."), upstream)) == [30] and upstream.asked == 2
    assert (cache.counts["success"], cache.counts["miss"]) == (1, 2)
    cache(query("web.test.", "AAAA"), upstream)
    assert upstream.asked == 3, "of another type"


def test_that_there_is_none_is_believed_for_less() -> None:
    cache, clock = cached("cache {\n denial 100 20\n }")
    for code in (dnswire.NXDOMAIN, dnswire.NOERROR):
        upstream = Upstream((code, [], SOA))
        name = f"no{code}.test."
        assert ttls(cache(query(name), upstream)) == [20]
        clock.now += 19
        assert cache(query(name), upstream)[3] & 15 == code and upstream.asked == 1
        clock.now += 2
        cache(query(name), upstream)
        assert upstream.asked == 2
    assert cache.counts["denial"] == 2


@pytest.mark.parametrize(
    ("said", "options", "seconds"),
    [
        ((dnswire.SERVFAIL, [], []), "cache", 5),
        ((dnswire.SERVFAIL, [], []), "cache {\n servfail 20s\n }", 20),
        ((dnswire.SERVFAIL, [], []), "cache {\n servfail 0s\n }", 0),
        ((dnswire.NXDOMAIN, [], []), "cache", 0),  # nothing says of what zone
        ((dnswire.REFUSED, [], []), "cache", 0),
        ((dnswire.NOERROR, ["web.test. 1 IN A 10.0.0.1"], []), "cache", 5),  # at least
        ((dnswire.NOERROR, ["web.test. 1 IN A 10.0.0.1"], []), "cache {\n success 9 60 2\n }", 2),
        (FOUND, "cache {\n disable success\n }", 0),
        ((dnswire.NXDOMAIN, [], SOA), "cache {\n disable denial\n }", 0),
        (FOUND, "cache 30 example.org", 0),
    ],
)
def test_how_long_it_is_kept(
    said: tuple[int, Sequence[str], Sequence[str]], options: str, seconds: int
) -> None:
    cache, clock = cached(options)
    upstream = Upstream(said)
    cache(query("web.test."), upstream)
    clock.now = seconds - 0.5
    if seconds:
        cache(query("web.test."), upstream)
        assert upstream.asked == 1
    clock.now = seconds + 0.5
    cache(query("web.test."), upstream)
    assert upstream.asked == 2


def test_what_is_over_stands_in_for_a_failure() -> None:
    cache, clock = cached("cache 30 {\n serve_stale 1h\n }")
    upstream = Upstream(FOUND, (dnswire.SERVFAIL, [], []))
    cache(query("web.test."), upstream)
    clock.now = 1000
    said = cache(query("web.test."), upstream)
    assert ttls(said) == [0] and told(dnswire.unpack(said))[0] == "NOERROR"
    clock.now = 5000
    assert cache(query("web.test."), upstream)[3] & 15 == dnswire.SERVFAIL


def test_no_more_is_kept_than_there_is_room_for() -> None:
    cache, _ = cached("cache {\n success 3\n }")
    for number in range(10):
        cache(query(f"{number}.test."), Upstream(FOUND))
    assert cache.sizes() == {"success": 3, "denial": 0}


# -- rewrite and template -------------------------------------------------------------------------

HOSTS = "hosts /none {\n 10.0.0.1 web.default.svc.cluster.local\n 10.0.0.2 a.test\n fallthrough\n }"


@pytest.mark.parametrize(
    ("rule", "asked", "answers"),
    [
        (
            "name shop.example.com web.default.svc.cluster.local",
            "shop.example.com.",
            ["shop.example.com. A 10.0.0.1"],
        ),
        ("name exact b.test. a.test", "B.test.", ["b.test. A 10.0.0.2"]),
        (
            "name suffix .office.example .default.svc.cluster.local answer auto",
            "web.office.example.",
            ["web.office.example. A 10.0.0.1"],
        ),
        (
            "name regex (.*)\\.my\\.org\\.$ {1}.default.svc.cluster.local",
            "web.my.org.",
            ["web.default.svc.cluster.local. A 10.0.0.1"],
        ),
        (
            "stop {\n name regex (.*)\\.my\\.org\\.$ {1}.default.svc.cluster.local\n"
            " answer name (.*)\\.default\\.svc\\.cluster\\.local\\.$ {1}.my.org\n }",
            "web.my.org.",
            ["web.my.org. A 10.0.0.1"],
        ),
        ("name prefix new- web.de", "new-fault.svc.cluster.local.", None),
        ("name substring .prod. .default.", "web.prod.svc.cluster.local.", None),
        ("type AAAA A", "a.test.", ["a.test. A 10.0.0.2"]),
    ],
)
def test_other_names_are_asked_for(rule: str, asked: str, answers: list[str] | None) -> None:
    server = Server(f". {{\n rewrite {rule}\n {HOSTS}\n}}")
    code, found = told(server.ask(asked, "AAAA" if rule.startswith("type") else "A"))
    assert code == "NOERROR"
    assert found == (answers or ["web.default.svc.cluster.local. A 10.0.0.1"])


def test_rules_go_on_until_one_stops() -> None:
    rules = (
        "rewrite continue name c.test b.test\n rewrite name b.test a.test\n rewrite ttl a.test 7"
    )
    said = Server(f". {{\n {rules}\n {HOSTS}\n}}").ask("c.test.")
    assert told(said) == ("NOERROR", ["c.test. A 10.0.0.2"])
    assert said.answers[0].ttl == 3600, "the second has stopped"
    said = Server(f". {{\n rewrite ttl exact a.test 5-9\n {HOSTS}\n}}").ask("a.test.")
    assert said.answers[0].ttl == 9


def test_answers_are_made_of_a_pattern() -> None:
    server = Server(
        """
.:53 {
    template IN A ip.test {
        match "^ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)[.]ip[.]test[.]$"
        answer "{{ .Name }} 60 IN A 10.0.{{ .Group.a }}.{{ .Group.b }}"
        fallthrough
    }
    template IN ANY gone.test {
        rcode NXDOMAIN
    }
    template IN TXT . {
        match "^(\\w+)[.]"
        answer "{{ .Name }} {{ .Class }} {{ .Type }} \\"{{ index .Match 1 }}\\""
    }
}
"""
    )
    assert told(server.ask("ip-3-4.ip.test.")) == ("NOERROR", ["ip-3-4.ip.test. A 10.0.3.4"])
    assert told(server.ask("other.ip.test.")) == ("SERVFAIL", [])
    assert told(server.ask("ip-3-400.ip.test.")) == ("SERVFAIL", []), "that is no address"
    assert told(server.ask("a.gone.test.", "MX")) == ("NXDOMAIN", [])
    assert told(server.ask("hello.test.", "TXT")) == ("NOERROR", ["hello.test. TXT hello"])
    assert told(server.ask("-.test.", "TXT")) == ("NXDOMAIN", []), "nothing falls through"


def test_who_asks_is_told() -> None:
    said = Server(". {\n whoami\n}").ask("example.org.")
    assert told(said) == ("NOERROR", [])
    assert [shown(record) for record in said.additional] == [
        "example.org. A 10.244.0.9",
        "_udp.example.org. SRV 4242 .",
    ]


# -- kubernetes --------------------------------------------------------------------------------

CLUSTER = """
.:53 {
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    hosts /none {
        192.0.2.7 db.example.com
        fallthrough
    }
}
"""


def service(name: str, space: str = "default", **spec: object) -> dict[str, object]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {"metadata": {"name": name, "namespace": space}, "spec": {"ports": ports, **spec}}


SERVICES = [
    service("web", clusterIP="10.96.0.7", clusterIPs=["10.96.0.7", "fd00::7"]),
    service("db", type="ExternalName", externalName="db.example.com"),
    service("set", clusterIP="None"),
]
SLICES = [
    {
        "metadata": {
            "name": "set-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "set"},
        },
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": ["10.244.1.5"], "hostname": "set-0", "conditions": {"ready": True}},
            {"addresses": ["10.244.1.6"], "conditions": {}},
            {"addresses": ["10.244.1.9"], "conditions": {"ready": False}},
        ],
    }
]


@pytest.fixture
def cluster() -> Server:
    server = Server(CLUSTER)
    (known,) = server.reading.clusters
    known.put("Service", SERVICES)
    known.put("EndpointSlice", SLICES)
    return server


SVC = "default.svc.cluster.local."


@pytest.mark.parametrize(
    ("name", "kind", "answers"),
    [
        (f"web.{SVC}", "A", ["A 10.96.0.7"]),
        (f"web.{SVC}", "MX", []),
        (f"_http._tcp.web.{SVC}", "SRV", [f"SRV 80 web.{SVC}"]),
        (f"set.{SVC}", "A", ["A 10.244.1.5", "A 10.244.1.6"]),
        (f"set-0.set.{SVC}", "A", ["A 10.244.1.5"]),
        (f"10-244-1-6.set.{SVC}", "A", ["A 10.244.1.6"]),
        (
            f"_http._tcp.set.{SVC}",
            "SRV",
            [f"SRV 8080 set-0.set.{SVC}", f"SRV 8080 10-244-1-6.set.{SVC}"],
        ),
        (f"db.{SVC}", "CNAME", ["CNAME db.example.com."]),
        ("10-244-3-3.default.pod.cluster.local.", "A", ["A 10.244.3.3"]),
        ("7.0.96.10.in-addr.arpa.", "PTR", [f"PTR web.{SVC}"]),
        ("5.1.244.10.in-addr.arpa.", "PTR", [f"PTR set-0.set.{SVC}"]),
        ("dns-version.cluster.local.", "TXT", ["TXT 1.1.0"]),
        ("svc.cluster.local.", "A", []),
        (SVC, "A", []),
        ("cluster.local.", "A", []),
        (f"_tcp.web.{SVC}", "A", []),
    ],
)
def test_the_names_of_a_cluster(cluster: Server, name: str, kind: str, answers: list[str]) -> None:
    said = cluster.ask(name, kind)
    assert told(said) == ("NOERROR", [f"{name} {answer}" for answer in answers])
    assert all(record.ttl == 30 for record in said.answers)
    assert bool(said.authority) is not bool(answers)


@pytest.mark.parametrize(
    "name",
    [f"none.{SVC}", f"a.web.{SVC}", "web.other.svc.cluster.local.", f"a.b.c.web.{SVC}",
     "x.cluster.local.", "10-244-1-300.default.pod.cluster.local.", f"a.db.{SVC}"],
)  # fmt: skip
def test_names_that_are_none(cluster: Server, name: str) -> None:
    said = cluster.ask(name)
    assert told(said) == ("NXDOMAIN", [])
    assert [record.kind for record in said.authority] == [dnswire.SOA]


def test_what_an_external_name_leads_to_is_found(cluster: Server) -> None:
    answers = [f"db.{SVC} CNAME db.example.com.", "db.example.com. A 192.0.2.7"]
    assert told(cluster.ask(f"db.{SVC}")) == ("NOERROR", answers)


def test_other_reverse_names_fall_through(cluster: Server) -> None:
    assert told(cluster.ask("7.2.0.192.in-addr.arpa.", "PTR"))[1] == [
        "7.2.0.192.in-addr.arpa. PTR db.example.com."
    ]


def test_it_follows_what_changes_and_says_nothing_before_it_knows(cluster: Server) -> None:
    (known,) = cluster.reading.clusters
    known.heard("Service", {"type": "DELETED", "object": SERVICES[0]})
    assert told(cluster.ask(f"web.{SVC}")) == ("NXDOMAIN", [])
    changed = service("set", clusterIP="10.96.0.9")
    known.heard("Service", {"type": "MODIFIED", "object": changed})
    assert told(cluster.ask(f"set.{SVC}")) == ("NOERROR", [f"set.{SVC} A 10.96.0.9"])
    assert told(Server(CLUSTER).ask(f"web.{SVC}")) == ("SERVFAIL", [])
    with pytest.raises(OSError, match="too old"):
        known.heard("Service", {"type": "ERROR", "object": {"message": "too old"}})


def test_it_is_ready_once_it_knows_everything(cluster: Server) -> None:
    for server, status in ((cluster, 200), (Server(CLUSTER), 503)):
        reading = dnszones.read(
            ". {\n ready\n prometheus :9153\n}", 53, server.whole, lambda: "n 1\n"
        )
        reading.clusters.extend(server.reading.clusters)
        assert reading.pages[8181, "/ready"]().status == status
        assert reading.pages[9153, "/metrics"]().body == b"n 1\n"


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "Unknown directive 'nonsense'"),
        ("auto", "netlab's stand-in has no plugin 'auto', but these: bind, bufsize"),
        ("cache {\n prefetc\n }", "Corefile:3 - Error during parsing: unknown property 'prefetc'"),
        ("cache {\n success many\n }", "Corefile:3 - Error during parsing: success many: that is"),
        ("forward . tls://9.9.9.9", "netlab's stand-in asks nobody over TLS"),
        ("forward . /none/resolv.conf", "open /none/resolv.conf: no such file or directory"),
        ("rewrite edns0 local set 0xffee x", "netlab's stand-in rewrites name, type and ttl alone"),
        ("rewrite name regex ( b", "error parsing regexp: "),
        ("template IN A {\n answer \"{{ .Remote }}\"\n }", "does not know {{ .Remote }}"),
        ("template IN NONE", "invalid RR type NONE"),
        ("kubernetes cluster.local {\n kubeconfig /x\n }", "has no 'kubeconfig' of kubernetes"),
        ("bind eth0", "bind eth0: netlab's stand-in binds to addresses alone"),
        ("reload often", "time: invalid duration often"),
        ("prometheus :99999", "address :99999: invalid port"),
        ("health localhost", "address localhost: invalid port"),
        ("forward . 10.0.0.1:65536", 'not an IP address or file: "10.0.0.1:65536"'),
        ("}\n.:99999 {\n whoami", "Corefile:3 - Error during parsing: '.:99999' is no zone"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named_with_its_line(line: str, words: str) -> None:
    with pytest.raises(Malformed) as error:
        Server(f". {{\n {line}\n}}")
    assert str(error.value).startswith("Corefile:") and words in str(error.value)


def test_the_order_of_a_file_does_not_matter() -> None:
    text = ". {\n forward . 10.0.0.1\n hosts /none {\n 10.0.0.2 a.test\n fallthrough\n }\n}"
    assert told(Server(text).ask("a.test.")) == ("NOERROR", ["a.test. A 10.0.0.2"])


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("7", 7.0), ("10ms", 0.01)]
)
def test_durations(text: str, seconds: float) -> None:
    assert dnszones.seconds(text) == seconds
