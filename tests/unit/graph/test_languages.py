"""Pictures as DOT and Mermaid: whatever stands in a label, nothing but a label comes of it."""

from __future__ import annotations

import re

import pytest

from netlab.graph.dot import dot
from netlab.graph.mermaid import is_too_much, mermaid
from netlab.graph.model import Arrow, Box, Group, Picture

HOSTILE = [
    'x"]; evil [URL="javascript:alert(1)", image="/etc/passwd"]; y [label="',
    "back\\slash\\",
    "\\N \\G \\T \\l \\n",
    '\\"',
    "<b>bold</b><img src=x onerror=alert(1)>",
    "<TABLE><TR><TD><IMG SRC='/etc/passwd'/></TD></TR></TABLE>",
    "</text><script>alert(1)</script>",
    "&lt;script&gt; &#60;script&#62; &amp;",
    "two\nlines\r\x1b[2J",
    "%% comment\n%%{init: {'securityLevel': 'loose'}}%%",
    '"] --> evil["',
    "`markdown` **bold**",
    "click b0 call alert(1)",
    "end\nsubgraph evil",
    "\u202egnp.exe\ud800\ufffe\x00",
    "emoji 🦊 ünïcode",
    "x" * 1000,
    "",
]


def picture(text: str) -> Picture:
    return Picture(
        text,
        (Group("g", text, "node", (Box("a", (text, text), "pod"),)),),
        (Box(f"b {text}", (text,), "service"),),
        (Arrow("a", f"b {text}", text, "backs"),),
        columns=(("a",), (f"b {text}",)),
        last=(f"b {text}",),
    )


WORDS = re.compile(r"[a-z]+[0-9]*|->|[\[\]{}=,;]|[0-9.]+|_")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
KNOWN = {
    "digraph", "graph", "node", "edge", "subgraph", "label", "labeljust", "labelloc", "rankdir",
    "bgcolor", "pad", "nodesep", "ranksep", "newrank", "true", "compound", "fontname", "fontsize",
    "fontcolor", "style", "color", "margin", "height", "arrowsize", "fillcolor", "shape", "box",
    "dir", "back", "penwidth", "invis", "rank", "sink", "l", "t", "LR", "none", "dashed", "false",
    "constraint", "note",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_dot_is_ours_but_for_labels(text: str) -> None:
    said = dot(picture(text))
    labels = QUOTED.findall(said)
    assert not any(ord(one) < 32 for label in labels for one in label)
    for label in labels:
        assert re.fullmatch(r'(?:[^"\\&]|\\\\|\\"|\\l|\\n|&amp;)*', label), label
    rest = QUOTED.sub('""', said)
    for word in re.findall(r"[A-Za-z]+", rest):
        assert word in KNOWN or re.fullmatch(r"b|cluster", word), word
    assert rest.count("->") == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_mermaid_is_ours_but_for_labels(text: str) -> None:
    lines = mermaid(picture(text)).splitlines()
    assert lines[0] == '%%{init: {"flowchart": {"wrappingWidth": 700}}}%%'
    assert lines[1] == "flowchart LR"
    shapes = (
        r'  subgraph g0\["L"\]', r'    b\d\["L"\]:::podBox', "  end", r'  b\d\["L"\]:::serviceBox',
        r'  b\d -->(\|"L"\|)? b\d',
        r"  classDef \w+Box fill:#\w+,stroke:#\w+,color:#\w+,text-align:left",
    )  # fmt: skip
    assert len(lines) == 9
    for line in lines[2:]:
        # An empty label is what Mermaid does not read.
        bare = re.sub(r'"((?:[\w .,:/()=+\-→…]|#\d+;|<br/>)+)"', '"L"', line)
        assert any(re.fullmatch(shape, bare) for shape in shapes), line


def test_a_picture_that_goes_down_begins_with_who_sends() -> None:
    """Mermaid puts first what is named first, where arrows lead both ways."""
    said = mermaid(
        Picture(
            "",
            (Group("g", "node", "node", (Box("hop", ("hop",), "hop"),)),),
            (Box("sender", ("sender",), "pod"),),
            (Arrow("sender", "hop"), Arrow("hop", "sender", kind="answer")),
            down=True,
        )
    )
    assert said.index('"sender"') < said.index("subgraph")


def test_what_mermaid_does_not_draw_is_known() -> None:
    ends = [Box(f"b{number}", ("x",), "pod") for number in range(501)]
    arrows = [Arrow(box.key, "b0") for box in ends]
    assert not is_too_much(Picture("", boxes=tuple(ends), arrows=tuple(arrows[:500])))
    assert is_too_much(Picture("", boxes=tuple(ends), arrows=tuple(arrows)))
    assert is_too_much(
        Picture("", boxes=tuple(Box(f"{n}", ("x" * 100,), "pod") for n in range(500)))
    )


def test_what_is_shown_of_a_text() -> None:
    said = dot(picture('a "b" & \\c'))
    assert 'label="a \\"b\\" &amp; \\\\c"' in said
    assert '["a #34;b#34; #38; #92;c"]' in mermaid(picture('a "b" & \\c'))
    long = dot(picture("word " * 30))
    assert "word\\l    word" in long, "a long line is folded"
