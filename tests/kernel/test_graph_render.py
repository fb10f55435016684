"""Pictures that Graphviz lays out: with whatever text, without rights, and in no other program."""

from __future__ import annotations

import ast
import re
from xml.etree import ElementTree

import needs
import pytest

from netlab.errors import CommandFailed, EnvironmentLacks
from netlab.graph.model import Arrow, Box, Group, Picture
from netlab.graph.render import rendered
from netlab.kernel import userns
from netlab.kernel.filters import filtered

pytestmark = pytest.mark.root

HOSTILE = [
    'x"]; evil [URL="javascript:alert(1)", image="/etc/passwd"]; y [label="',
    "back\\slash\\",
    "\\N \\G \\T \\E \\L",
    "<TABLE><TR><TD><IMG SRC='/etc/passwd'/></TD></TR></TABLE>",
    "</text><script>alert(1)</script>",
    "&lt;script&gt; &#60;script&#62; &amp;",
    "<b>bold</b>",
    "\u202egnp.exe\ud800\ufffe\x00\x1b[2J",
    "ünïcode 🦊",
]


def picture(text: str) -> Picture:
    return Picture(
        text,
        (Group("g", text, "node", (Box("a", (text, "x"), "pod"),)),),
        (Box("b", (text,), "service"),),
        (Arrow("a", "b", text, "backs"),),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text(text: str) -> None:
    needs.program("dot")
    root = ElementTree.fromstring(rendered(picture(text), "svg"))
    names = {element.tag.partition("}")[2] for element in root.iter()}
    assert names <= {"svg", "g", "title", "text", "path", "polygon", "ellipse", "polyline"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in attributes if "href" in name or name.startswith("on")]
    said = "".join(element.text or "" for element in root.iter() if element.tag.endswith("text"))
    words = [word for word in re.findall(r"[\wü]+", text) if len(word) > 2 and word.isalnum()]
    assert all(word in said for word in words)
    if text.isprintable():
        shown = [element.text for element in root.iter() if element.tag.endswith("text")]
        assert "".join(text.split()) in "".join("".join(shown).replace("\xa0", "").split())


def test_a_png_has_text_in_it() -> None:
    """Fonts are found where nothing else is."""
    needs.program("dot")
    empty = rendered(Picture("", boxes=(Box("a", ("",), "pod"),)), "png")
    text = rendered(Picture("", boxes=(Box("a", ("some words of text",), "pod"),)), "png")
    assert empty[:8] == text[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(text) > len(empty) * 2


LOOK = """
import ctypes, os, socket, sys
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
ctypes.CDLL(None).capget(header, sets)
print(os.getuid(), any(sets), [name for _, name in socket.if_nameindex()], sorted(os.listdir("/")))
print(os.path.exists("/etc/passwd"), os.access("/", os.W_OK), sorted(os.environ))
"""


def test_root_gives_it_nothing() -> None:
    """It is nobody, has no capability, no network and none of the machine's files."""
    said = filtered(["/usr/bin/python3", "-I", "-"], LOOK.encode(), env={"A": "b"})
    first, second = said.decode().splitlines()
    uid, capable, rest = first.split(maxsplit=2)
    if userns.is_known(userns.NOBODY):
        assert int(uid) == userns.NOBODY
    assert capable == "False"
    assert rest.startswith("['lo'] ")
    assert set(ast.literal_eval(rest.partition("] ")[2])) <= {"dev", "etc", "lib", "lib64", "usr"}
    assert second == "False False ['A', 'LC_ALL']"


def test_what_goes_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandFailed, match="syntax error"):
        filtered(["dot", "-Tsvg"], b"digraph {")
    with pytest.raises(CommandFailed, match="still running"):
        filtered(["/usr/bin/sh", "-c", "read x; while :; do :; done"], b"x\n", timeout=0.3)
    with monkeypatch.context() as without, pytest.raises(EnvironmentLacks) as caught:
        without.setenv("PATH", "/nonexistent")
        without.setattr("netlab.kernel.run._SYSTEM_DIRECTORIES", ())
        rendered(picture("x"), "svg")
    assert caught.value.hint == "apt-get install graphviz; -o dot and -o mermaid need none"
    assert rendered(picture("x"), "dot").startswith(b"digraph")
