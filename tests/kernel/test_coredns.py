"""CoreDNS' stand-in in a pod: asked with dig, by its file."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from kernel.sandboxes import Lab, executed, said

from netlab.workload.sandbox import Command, SandboxProcess, base_environment

pytestmark = pytest.mark.root

COREFILE = """
. {
    errors
    hosts {
        192.0.2.123 my.test my-too.test
        192.0.2.124 my.test
        2001:db8::29 my.test
        ttl 30
        fallthrough
    }
    forward . 127.0.0.1:1053
    cache 30
    log
}
example.org:53 {
    hosts /none {
        192.0.2.1 www.example.org
    }
}
test:1053 {
    hosts /none {
        198.51.100.7 far.test
%s
    }
}
"""
MANY = "\n".join(f"198.51.100.{number} many.test" for number in range(200))


async def started(lab: Lab, file: str) -> SandboxProcess:
    """`/coredns` with such a Corefile, once it answers or has ended."""
    script = f"cat >/Corefile <<'END'\n{file}\nEND\nexec /coredns -conf /Corefile"
    place = lab.place(programs={"main": ("agnhost",)})
    command = Command(("sh", "-c", script), base_environment("debug"))
    process = await lab.sandboxes.start(place, "main", command, attempt=next(lab.attempts))
    await process.first_words(10)
    return process


async def test_names_are_answered_as_the_file_has_them(lab: Lab) -> None:
    server = await started(lab, COREFILE % MANY)

    async def dig(*words: str) -> tuple[str, Sequence[str]]:
        _, text, _ = await executed(server, lab, "dig", "@127.0.0.1", "+tries=1", *words)
        return text.partition("status: ")[2].partition(",")[0], [
            line.split()[-1] for line in text.splitlines() if line and line[0] not in "; "
        ]

    assert await dig("my.test") == ("NOERROR", ["192.0.2.123", "192.0.2.124"])
    assert await dig("+tcp", "My.Test", "AAAA") == ("NOERROR", ["2001:db8::29"])
    assert await dig("my-too.test", "AAAA") == ("NOERROR", []), "it has other addresses"
    assert await dig("-x", "2001:db8::29") == ("NOERROR", ["my.test."])
    assert await dig("far.test") == ("NOERROR", ["198.51.100.7"]), "by the other server"
    assert await dig("nobody.test") == ("SERVFAIL", [])
    assert await dig("www.example.org") == ("NOERROR", ["192.0.2.1"])
    assert await dig("-p", "1053", "my.test") == ("SERVFAIL", [])
    assert await dig("-p", "1053", "example.com") == ("REFUSED", [])
    assert len((await dig("many.test"))[1]) == 200, "by TCP, since no datagram holds that many"
    assert await dig("+ignore", "many.test") == ("NOERROR", [])
    assert '"A IN my.test. udp' in said(server)
    assert "example.org. udp" not in said(server), "that zone has no log"
    assert said(server).splitlines()[:3] == ["example.org.:53", "test.:1053", ".:53"]
    assert (await server.kill(10)).code == 0


OVER = """
.:53 {
    bind 127.0.0.1
    prometheus :9153
    cache 30
    rewrite name other.test my.test
    reload 2s
    forward . 127.0.0.1:1053 {
        force_tcp
    }
}
.:1053 {
    log
    hosts /tmp/hosts {
        fallthrough
    }
    template IN A ip.test {
        match "^ip-(\\d+)[.]ip[.]test[.]$"
        answer "{{ .Name }} 60 IN A 10.0.0.{{ index .Match 1 }}"
    }
}
"""


async def test_answers_are_kept_and_a_changed_file_is_gone_by(lab: Lab) -> None:
    server = await started(lab, OVER)

    async def run(*words: str) -> str:
        return (await executed(server, lab, *words))[1]

    async def put(text: str) -> None:
        await run("sh", "-c", f"echo '{text}' >/tmp/hosts.new && mv /tmp/hosts.new /tmp/hosts")

    async def dig(name: str) -> list[str]:
        return (await run("dig", "@127.0.0.1", "+tries=1", "+short", name)).split()

    await put("192.0.2.1 my.test")
    for _ in range(3):
        assert await dig("ip-7.ip.test") == ["10.0.0.7"]
    assert said(server).count('"A IN ip-7.ip.test. tcp') == 1, "asked once, and over TCP"
    page = await run("curl", "-s", "127.0.0.1:9153/metrics")
    assert 'coredns_cache_hits_total{server="dns://:53",type="success"} 2' in page
    assert 'coredns_dns_requests_total{server="dns://:53",zone=".",proto="udp",type="A"} 3' in page
    while await dig("my.test") != ["192.0.2.1"]:  # the file is looked at now and then
        await asyncio.sleep(0.5)
    assert await dig("other.test") == ["192.0.2.1"]
    await put("192.0.2.9 my.test")
    assert await dig("my.test") == ["192.0.2.1"], "it is believed for a while"
    await run("sed", "-i", "s/cache 30/whoami/; s/other.test/more.test/", "/Corefile")
    while await dig("more.test") != ["192.0.2.9"]:
        await asyncio.sleep(0.5)
    assert "[INFO] Reloading complete" in said(server)
    await run("sed", "-i", "s/whoami/nonsense/", "/Corefile")
    while "Restart failed: Corefile:5 - Error during parsing: Unknown" not in said(server):
        await asyncio.sleep(0.2)
    assert await dig("more.test") == ["192.0.2.9"]


ZONE = """\
@ 60 IN SOA ns admin %d 1h 15m 4w 5m
web A 192.0.2.%d
www CNAME web
"""


async def test_a_zone_file_is_served_and_followed_by_its_serial(lab: Lab) -> None:
    server = await started(lab, "example.org {\n file /tmp/db {\n  reload 1s\n }\n}\n")

    async def put(text: str) -> None:
        await executed(server, lab, "sh", "-c", f"echo '{text}' >/tmp/new && mv /tmp/new /tmp/db")

    async def dig() -> list[str]:
        _, text, _ = await executed(server, lab, "dig", "@127.0.0.1", "+short", "www.example.org")
        return text.split()

    assert await dig() == [], "there is no such file yet"
    for serial, last in ((1, 8), (2, 9)):
        await put(ZONE % (serial, last))
        while await dig() != ["web.example.org.", f"192.0.2.{last}"]:
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (". {\n  kubernets cluster.local\n}", "Corefile:2 - Error during parsing: Unknown dire"),
        (". {\n  auto\n}", "Corefile:2 - Error during parsing: netlab's stand-in has no"),
        (". {\n  forward . nowhere\n}", "Corefile:2 - Error during parsing: not an IP address or"),
        (". {\n  log", "Corefile:1 - Error during parsing: Unexpected EOF"),
    ],
)
async def test_a_file_that_says_something_else_is_refused(lab: Lab, file: str, words: str) -> None:
    server = await started(lab, file)
    assert (await server.wait()).code == 1
    assert said(server).startswith(words)
