"""nginx and httpd that show files of their pods, on the real kernel."""

from __future__ import annotations

import os

import pytest
from kernel.asking import get, raw
from kernel.sandboxes import Lab, executed, said

from netlab.workload.behaviour import behaviour, brought
from netlab.workload.sandbox import Command, SandboxProcess, base_environment
from netlab.workload.volume import Mount

pytestmark = pytest.mark.root

HTML = "/usr/share/nginx/html"


async def serving(lab: Lab, image: str, target: str, source: str) -> SandboxProcess:
    """A container of that image, with a volume mounted there, that has begun its work."""
    container = {"name": "main", "image": image, "volumeMounts": [{"mountPath": target}]}
    found = behaviour(container)
    assert found.kind == "process"
    mount = Mount(source, target, read_only=True)
    place = lab.place("web", mount, programs={"main": (brought(container),)})
    command = Command(found.argv, base_environment("web"))
    started = await lab.sandboxes.start(place, "main", command, attempt=next(lab.attempts))
    await started.first_words(10)
    return started


async def test_files_are_shown_and_nothing_else_is(lab: Lab) -> None:
    volume = lab.volume("html", "web")
    (volume / "index.html").write_text("<h1>mine</h1>\n")
    (volume / "sub").mkdir()
    (volume / "sub" / "data.json").write_text("{}")
    (volume / "large.bin").write_bytes(os.urandom(1 << 20))
    os.mkfifo(volume / "pipe")
    (volume / "out").symlink_to("/etc/hostname")
    (volume / "secret").write_text("no")
    (volume / "secret").chmod(0)
    started = await serving(lab, "nginx:1.27", HTML, lab.source(volume))
    status, body, headers = await get(lab, 80, "/")
    assert (status, body, headers["Content-Type"]) == (200, "<h1>mine</h1>\n", "text/html")
    assert headers["Server"].startswith("nginx/")
    assert (await get(lab, 80, "/sub/data.json"))[2]["Content-Type"] == "application/json"
    status, _, headers = await get(lab, 80, "/sub")
    assert (status, headers["Location"]) == (301, "http://127.0.0.1/sub/")
    assert (await get(lab, 80, "/sub/"))[0] == 403
    assert (await get(lab, 80, "/none"))[0] == 404
    assert (await get(lab, 80, "/pipe"))[0] == 403
    assert (await get(lab, 80, "/index.html", "POST"))[0] == 405
    assert (await get(lab, 80, "/../../etc/passwd"))[0] == 400
    assert (await get(lab, 80, "/out"))[1] == "web\n", "a link leads where the pod's root leads"
    large = await raw(lab, 80, b"GET /large.bin HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n")
    assert large.partition(b"\r\n\r\n")[2] == (volume / "large.bin").read_bytes()
    refused = await raw(lab, 80, b"nonsense\n")
    assert refused.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"nginx" in refused
    assert '"GET /none HTTP/1.1" 404 ' in said(started)
    (volume / "index.html").write_text("<h1>changed</h1>\n")
    assert (await get(lab, 80, "/"))[1] == "<h1>changed</h1>\n"
    assert (await started.kill(20)).code == 0


async def test_beside_single_files_the_images_own_page_is_there(lab: Lab) -> None:
    volume = lab.volume("html", "web")
    (volume / "more.html").write_text("more")
    started = await serving(lab, "nginx", f"{HTML}/more", lab.source(volume))
    assert (await get(lab, 80, "/more/more.html"))[1] == "more"
    assert "Welcome to nginx!" in (await get(lab, 80, "/"))[1]
    assert (await get(lab, 80, "/none"))[0] == 404
    await started.kill(0)
    started = await serving(lab, "httpd:2.4", "/usr/local/apache2/htdocs", lab.source(volume))
    status, body, _ = await get(lab, 80, "/")
    assert status == 200
    assert '<a href="more.html">' in body
    code, _, _ = await executed(started, lab, "sh", "-c", "echo >/web-server")
    assert code != 0
