"""nginx and httpd as they show files: what is mounted at their document root, and their own pages.

It runs in the pod, which has these files, with the pod's rights: what it can open, the pod may see.
"""

from __future__ import annotations

import contextlib
import errno
import html
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from netlab.workload.access_log import Entry, formatted
from netlab.workload.http1 import Request, http_date
from netlab.workload.inside import flags, web
from netlab.workload.inside.sites import SITES  # written when this is packed
from netlab.workload.inside.web import in_background, listening
from netlab.workload.site import Site, SiteAnswer

_TYPES = {
    ".html": "text/html", ".htm": "text/html", ".css": "text/css", ".txt": "text/plain",
    ".js": "application/javascript", ".json": "application/json", ".xml": "text/xml",
    ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".gif": "image/gif", ".ico": "image/x-icon", ".webp": "image/webp", ".pdf": "application/pdf",
    ".wasm": "application/wasm", ".zip": "application/zip",
}  # fmt: skip
_OTHER = "application/octet-stream"

_PATIENCE = 10.0
_LOOK_EVERY = 0.0005
"""Seconds that it waits for ports, and between its looks at them."""


class Page(web.Answer):
    """A page of the site's own."""

    def __init__(self, page: SiteAnswer) -> None:
        super().__init__(status=page.status)
        self._page = page

    def send(self, connection: socket.socket, request: Request, *, close: bool) -> int:
        """As `Answer` does."""
        data, size = self._page.render(request, close=close)
        connection.sendall(data)
        return size


class File(web.Answer):
    """A regular file, opened."""

    def __init__(self, descriptor: int, name: str, server: str) -> None:
        found = os.fstat(descriptor)
        self._descriptor, self._size = descriptor, found.st_size
        self.changed = http_date(found.st_mtime)
        self.tag = f'"{int(found.st_mtime):x}-{found.st_size:x}"'
        kind = _TYPES.get(PurePosixPath(name).suffix.lower(), _OTHER)
        headers = {"Server": server, "Content-Type": kind, "Last-Modified": self.changed}
        super().__init__(headers={**headers, "ETag": self.tag, "Accept-Ranges": "bytes"})

    def send(self, connection: socket.socket, request: Request, *, close: bool) -> int:
        """As `Answer` does; a file that is made shorter meanwhile ends the connection."""
        with os.fdopen(self._descriptor, "rb") as file:
            if self._is_known(request):
                self.status = 304
                connection.sendall(self.render("HEAD", close=close))
                return 0
            self.headers["Content-Length"] = str(self._size)
            connection.sendall(self.render("HEAD", close=close))
            if request.method == "HEAD" or not self._size:
                return 0
            if connection.sendfile(file, count=self._size) != self._size:
                raise OSError("the file has become shorter")
            return self._size

    def _is_known(self, request: Request) -> bool:
        if known := request.header("if-none-match"):
            return self.tag in known
        return request.header("if-modified-since") == self.changed


class Documents:
    """The files below a root. With `bare` there is nothing else; if not, the site's own pages."""

    def __init__(self, root: Path, site: Site, server: str, *, bare: bool, lists: bool) -> None:
        self._root = root
        self._site = site
        self._server = server
        self._bare = bare
        self._lists = lists

    def answer(self, request: Request) -> web.Answer:
        """What there is at the request's path."""
        found = self._found(request)
        if found.status == 404 and not self._bare:
            found = Page(self._site.answer(request))
        return found

    def _found(self, request: Request) -> web.Answer:
        parts = [part for part in request.path.split("/") if part not in ("", ".")]
        if ".." in parts or "\0" in request.path:
            return self._error(400)
        place = self._root.joinpath(*parts)
        try:
            if place.is_dir():
                return self._directory(request, place)
            return self._file(request, place)
        except (FileNotFoundError, NotADirectoryError):
            return self._error(404)
        except PermissionError:
            return self._error(403)
        except OSError:
            return self._error(500)

    def _error(self, status: int) -> web.Answer:
        return Page(self._site.error(status))

    def _directory(self, request: Request, place: Path) -> web.Answer:
        if not request.path.endswith("/"):
            host = request.header("host")
            target = quote(request.path, errors="surrogateescape") + "/"
            headers = {"Server": self._server, "Location": f"http://{host}{target}"}
            return web.Answer(status=301, headers=headers)
        with contextlib.suppress(FileNotFoundError):
            return self._file(request, place / "index.html")
        if request.path == "/" and not self._bare:
            return self._error(404)
        return self._listed(request, place) if self._lists else self._error(403)

    def _file(self, request: Request, place: Path) -> web.Answer:
        # Who opens a pipe would wait for somebody at its other end.
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return self._error(403)
        if request.method not in ("GET", "HEAD"):
            os.close(descriptor)
            return self._error(405)
        return File(descriptor, place.name, self._server)

    def _listed(self, request: Request, place: Path) -> web.Answer:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in place.iterdir())
        lines = "".join(
            f'<li><a href="{quote(name)}"> {html.escape(name)}</a></li>\n' for name in names
        )
        title = html.escape(f"Index of {request.path.rstrip('/')}")
        page = f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n<h1>{title}</h1>\n"
        headers = {"Server": self._server, "Content-Type": "text/html;charset=ISO-8859-1"}
        return web.Answer(f"{page}<ul>{lines}</ul>\n</body></html>\n", headers=headers)


def main(words: Sequence[str]) -> None:
    """Serve until SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda *_: os._exit(0))
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH):  # there is nothing to reload
        signal.signal(number, signal.SIG_IGN)
    defaults = {"site": "", "root": "/", "bare": False, "lists": False, "succeeds": False}
    given, ports = flags.parse(words, defaults, most=64)
    data = SITES[given["site"]]
    site = Site(data, {"hostname": socket.gethostname()})
    server = str(data.get("server", ""))
    root = Path(given["root"])
    bare = given["bare"] or (root / "index.html").exists()  # the image's own pages lie there
    documents = Documents(root, site, server, bare=bare, lists=given["lists"])
    opened = [
        _succeeding(int(port), server) if given["succeeds"] else _bound(int(port)) for port in ports
    ]
    web.log(f"[notice] 1#1: {server}: start worker processes")
    for each in opened[1:]:
        in_background(_server(each, documents, site).run)
    _server(opened[0], documents, site).run()


def _bound(port: int) -> socket.socket:
    """A socket on a port; without one the program ends."""
    try:
        return listening(port)
    except OSError as problem:
        why = f"{problem.errno}: {problem.strerror}"
        web.log(f"[emerg] 1#1: bind() to 0.0.0.0:{port} failed ({why})")
        sys.exit(1)


def _succeeding(port: int, server: str) -> socket.socket:
    """A socket on a port that somebody has, beside his, or as soon as he has it no more."""
    limit, is_told = time.monotonic() + _PATIENCE, False
    while time.monotonic() < limit:
        try:
            return listening(port, shared=True)
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                break
        if not is_told:
            web.log(f"[notice] 1#1: {server}: waiting for its ports")
            is_told = True
        time.sleep(_LOOK_EVERY)
    return _bound(port)


def _server(opened: socket.socket, documents: Documents, site: Site) -> web.Server:
    def refuse(status: int) -> bytes:
        return site.error(status).render(None, close=True)[0]

    return web.Server(opened, documents.answer, refuse=refuse, told=_access)


def _access(request: Request, status: int, size: int) -> None:
    line = f"{request.method} {request.target} {request.version}"
    asker = (request.header("referer"), request.header("user-agent"))
    entry: Entry = (time.time(), (request.client[0], line, status, size, *asker))
    os.write(1, f"{formatted(entry)}\n".encode(errors="replace"))
