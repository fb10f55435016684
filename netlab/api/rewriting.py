"""Addresses in what a proxied server says, made to lead through the proxy again. Pure.

As k8s.io/apimachinery/pkg/util/proxy/transport.go does it: an absolute path, or a URL of the server
itself, gets the proxy's own path before it, in a Location and in the tags of HTML. Pages are
strangers': a page is gone through once, however it is made.
"""

from __future__ import annotations

import html
import posixpath
import re
import zlib
from urllib.parse import quote, urlsplit

from msgspec import Struct

LARGEST_PAGE = 4 * 1024 * 1024
"""Bytes of HTML that are rewritten, unpacked; a larger page passes as it is."""

_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "a": ("href",), "applet": ("codebase",), "area": ("href",), "audio": ("src",),
    "base": ("href",), "blockquote": ("cite",), "body": ("background",),
    "button": ("formaction",), "command": ("icon",), "del": ("cite",), "embed": ("src",),
    "form": ("action",), "frame": ("longdesc", "src"), "head": ("profile",),
    "html": ("manifest",), "iframe": ("longdesc", "src"), "img": ("longdesc", "src", "usemap"),
    "input": ("src", "usemap", "formaction"), "ins": ("cite",), "link": ("href",),
    "object": ("classid", "codebase", "data", "usemap"), "q": ("cite",), "script": ("src",),
    "source": ("src",), "video": ("poster", "src"),
}  # fmt: skip
"""Tags, and those of their attributes that are addresses."""

_RAW = (
    "iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea",
    "title", "xmp",
)  # fmt: skip
"""Tags whose content has none, up to their own end."""

# Possessive throughout: nothing is looked at twice.
_TAG = re.compile(r"<(?:(!--)|([A-Za-z][^\s/>]*+))")
_ATTRIBUTE = re.compile(
    r"""[\s/]*+([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]*+)))?+"""
)
_TAG_END = re.compile(r"\s*+(/?+)[\s/]*+>")


class Rewriter(Struct, frozen=True):
    """Of one answer: `prefix` is the proxy's own path, `hosts` what the server calls itself."""

    prefix: str
    hosts: frozenset[str]

    def url(self, text: str) -> str:
        """An address as it leads through the proxy; those of others as they are."""
        try:
            url = urlsplit(text)
        except ValueError:
            return text
        if (url.netloc and url.netloc not in self.hosts) or not url.path.startswith("/"):
            return text
        path = url.path
        if not path.startswith(self.prefix):
            path = posixpath.normpath(f"{self.prefix}/{path}")
            path += "/" if url.path.endswith("/") and not path.endswith("/") else ""
        found = quote(path, safe="/%:@!$&'()*+,;=-._~")
        return (
            found
            + (f"?{url.query}" if url.query else "")
            + (f"#{url.fragment}" if url.fragment else "")
        )

    def page(self, body: bytes, encoding: str) -> bytes | None:
        """A page of HTML, packed as its Content-Encoding says; None if it is left as it is."""
        if encoding not in _WINDOWS:
            return None
        unpacked = _unpacked(body, _WINDOWS[encoding]) if encoding else body
        if unpacked is None or len(unpacked) > LARGEST_PAGE:
            return None
        text = unpacked.decode("utf-8", "surrogateescape")
        found = self.html(text).encode("utf-8", "surrogateescape")
        return _packed(found, _WINDOWS[encoding]) if encoding else found

    def html(self, text: str) -> str:
        """A page's text."""
        parts: list[str] = []
        at = 0
        while found := _TAG.search(text, at):
            start = found.start()
            parts.append(text[at:start])
            at, written = self._tag(text, found)
            parts.append(text[start:at] if written is None else written)
        return "".join((*parts, text[at:]))

    def _tag(self, text: str, found: re.Match[str]) -> tuple[int, str | None]:
        """(where what begins here ends, the tag written anew; None as it stands)"""
        if found[1]:
            over = text.find("-->", found.end())
            return (len(text) if over < 0 else over + 3), None
        name, at = found[2].lower(), found.end()
        attributes: list[tuple[str, str]] = []
        while one := _ATTRIBUTE.match(text, at):
            value = next((value for value in one.groups()[1:] if value is not None), "")
            attributes.append((one[1].lower(), html.unescape(value)))
            at = one.end()
        end = _TAG_END.match(text, at)
        if end is None:
            return len(text), None
        written = self._written(name, attributes, end[1])
        if name not in _RAW:
            return end.end(), written
        close = re.compile(rf"</{name}[\s/>]", re.IGNORECASE).search(text, end.end())
        stop = close.start() if close else len(text)
        return stop, written + text[end.end() : stop]

    def _written(self, name: str, attributes: list[tuple[str, str]], slash: str) -> str:
        of_urls = _ATTRIBUTES.get(name, ())
        values = [
            f' {key}="{_escaped(self.url(value) if key in of_urls else value)}"'
            for key, value in attributes
        ]
        return f"<{name}{''.join(values)}{slash}>"


_ESCAPES = {"&": "&amp;", "'": "&#39;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "\r": "&#13;"}


def _escaped(text: str) -> str:
    """As Go's html.EscapeString."""
    return "".join(_ESCAPES.get(sign, sign) for sign in text)


_WINDOWS = {"": 0, "gzip": 16 + zlib.MAX_WBITS, "deflate": -zlib.MAX_WBITS}
"""The encodings that are understood, as zlib calls them."""


def _unpacked(body: bytes, window: int) -> bytes | None:
    unpacking = zlib.decompressobj(window)
    try:
        found = unpacking.decompress(body, LARGEST_PAGE + 1)
    except zlib.error:
        return None
    return found if unpacking.eof else None


def _packed(body: bytes, window: int) -> bytes:
    packing = zlib.compressobj(wbits=window)
    return packing.compress(body) + packing.flush()
