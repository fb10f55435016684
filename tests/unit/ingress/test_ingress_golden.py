"""What becomes of Ingresses: tests/golden/ingress/<case>/.

`objects.yaml` is beside what always is there (`ingresses.ALWAYS`). `nginx.conf` is what they come
to, from where it is about them; `problems` what they are told. NETLAB_UPDATE_GOLDEN=1 writes both
anew. tests/kernel/test_ingress_nginx.py asks a real nginx whether it takes them.
"""

import os
import re

import pytest
from ingresses import CASES, PLACE, case, compiled, rendered
from msgspec.structs import replace


@pytest.mark.parametrize("directory", CASES, ids=lambda directory: directory.name)
def test_golden(directory):
    found, page = case(directory)
    _, _, text = page.text.partition("    # what Ingresses ask for\n")
    if found.configuration.streams:
        text = page.text[page.text.index("stream {") : page.text.index("http {")] + text
    files = "".join(f"# file {name}: {said}" for name, said in found.configuration.files.items())
    problems = "".join(
        f"{one.kind} {one.about}: {one.reason}: {one.message}\n" for one in found.problems
    )
    for name, said in (("nginx.conf", f"{text}{files}"), ("problems", problems)):
        if os.environ.get("NETLAB_UPDATE_GOLDEN"):
            (directory / name).write_text(said)
        assert said == (directory / name).read_text()


@pytest.mark.parametrize(
    ("release", "line"), [((1, 25, 0), "443 ssl http2;"), ((1, 25, 1), "443 ssl;")]
)
@pytest.mark.parametrize("data", ["", 'data: {use-http2: "false"}'])
def test_each_release_is_told_of_http2_as_it_wants_it(release, line, data):
    metadata = "{namespace: ingress-nginx, name: ingress-nginx-controller}"
    found = compiled(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\n{data}\n")
    text = rendered(found, place=replace(PLACE, release=release)).text
    wanted = line.replace(" http2", "") if data else line
    assert re.findall("listen (443.*ssl.*)", text) == [wanted.replace("443", "443 default_server")]
    directive = ["off" if data else "on"] if release >= (1, 25, 1) else []
    assert re.findall("^ +http2 (.*);", text, re.MULTILINE) == directive
