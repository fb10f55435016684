"""What becomes of the addresses in a proxied page."""

from __future__ import annotations

import time
import zlib

import pytest

from netlab.api.rewriting import Rewriter

THROUGH = Rewriter("/proxy", frozenset({"10.0.0.1:80", "lab"}))


@pytest.mark.parametrize(
    ("written", "through"),
    [
        ("/a", "/proxy/a"),
        ("/a/?x=1#y", "/proxy/a/?x=1#y"),
        ("/", "/proxy/"),
        ("/a/../b", "/proxy/b"),
        ("/a%20b/ü", "/proxy/a%20b/%C3%BC"),
        ("http://10.0.0.1:80/a", "/proxy/a"),
        ("//lab/a", "/proxy/a"),
        ("http://elsewhere/a", "http://elsewhere/a"),
        ("//elsewhere/a", "//elsewhere/a"),
        ("a/b", "a/b"),
        ("?x", "?x"),
        ("", ""),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("http://[", "http://["),
        ("/proxy/a", "/proxy/a"),
    ],
)
def test_addresses(written: str, through: str) -> None:
    assert THROUGH.url(written) == through


@pytest.mark.parametrize(
    ("page", "through"),
    [
        ("<a href='/x' class=y>", '<a href="/proxy/x" class="y">'),
        ("<A HREF=/x>T</A>", '<a href="/proxy/x">T</A>'),
        ('<img src="/x"/>', '<img src="/proxy/x"/>'),
        ('<p title="/x">', '<p title="/x">'),
        ('<a href="/x?a=1&amp;b=&quot;">', '<a href="/proxy/x?a=1&amp;b=&#34;">'),
        ("<!-- <a href=/x> -->", "<!-- <a href=/x> -->"),
        ('<script src="/x">"<a href=/x>"</script><a href=/y>',
         '<script src="/proxy/x">"<a href=/x>"</script><a href="/proxy/y">'),
        ("1 < 2 <3", "1 < 2 <3"),
        ("<a href=/x", "<a href=/x"),
        ('<a href="/x', '<a href="/x'),
        ("<!-- <a href=/x>", "<!-- <a href=/x>"),
        ("<style><a href=/x>", "<style><a href=/x>"),
        ("<!doctype html><br>", "<!doctype html><br>"),
        ("\udcff<a href=/x>", '\udcff<a href="/proxy/x">'),
    ],
)  # fmt: skip
def test_pages(page: str, through: str) -> None:
    assert THROUGH.html(page) == through


@pytest.mark.parametrize(
    "piece", ["<", "<a", "<a ", '<a href="', "<a href='", "<!--", "<script>", "<a b=c ", "</", '="']
)
def test_no_page_takes_longer_than_another(piece: str) -> None:
    """Where something is looked at twice, this takes minutes."""
    begun = time.monotonic()
    THROUGH.html(piece * 200_000)
    assert time.monotonic() - begun < 30


def test_packed_pages() -> None:
    page = b"<a href=/x>"
    for encoding, window in (("gzip", 31), ("deflate", -15)):
        packing = zlib.compressobj(wbits=window)
        packed = packing.compress(page) + packing.flush()
        found = THROUGH.page(packed, encoding)
        assert found is not None
        assert zlib.decompress(found, window) == b'<a href="/proxy/x">'
        assert THROUGH.page(packed[:-4], encoding) is None
    assert THROUGH.page(page, "br") is None
    bomb = zlib.compress(bytes(50_000_000), wbits=31)
    assert THROUGH.page(bomb, "gzip") is None
