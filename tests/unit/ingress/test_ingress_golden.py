"""What becomes of Ingresses: tests/golden/ingress/<case>/.

`objects.yaml` is beside what always is there (`ingresses.ALWAYS`). `nginx.conf` is what they come
to, from where it is about them; `problems` what they are told. NETLAB_UPDATE_GOLDEN=1 writes both
anew. tests/kernel/test_ingress_nginx.py asks a real nginx whether it takes them.
"""

import os

import pytest
from ingresses import CASES, case


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
