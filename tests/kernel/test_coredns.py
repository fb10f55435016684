"""CoreDNS' stand-in in a pod: asked with dig, by its file."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (". {\n  kubernetes cluster.local\n}", "Corefile:2 - Error during parsing: Unknown dire"),
        (". {\n  forward . nowhere\n}", "Corefile:2 - Error during parsing: not an IP address or"),
        (". {\n  log", "Corefile:1 - Error during parsing: Unexpected EOF"),
    ],
)
async def test_a_file_that_says_something_else_is_refused(lab: Lab, file: str, words: str) -> None:
    server = await started(lab, file)
    assert (await server.wait()).code == 1
    assert said(server).startswith(words)
