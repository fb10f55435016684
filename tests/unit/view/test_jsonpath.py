"""JSONPath templates; the expected texts are those that kubectl 1.33 prints."""

import pytest

from netlab.errors import UsageError
from netlab.view import jsonpath

LIST = {
    "items": [
        {
            "metadata": {"name": "a", "annotations": {"x.y/z": "q"}},
            "n": 1,
            "c": [{"image": "i1"}, {"image": "i2"}],
            "phase": "Running",
            "ok": True,
        },
        {"metadata": {"name": "b"}, "n": 2, "phase": "Pending", "ok": False},
    ]
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.items[*].metadata.name}", "a b"),
        (r'{range .items[*]}{.metadata.name}{"\t"}{.n}{"\n"}{end}', "a\t1\nb\t2\n"),
        ("{range .items[*]}[{.n}{range .c[*]} {.image}{end}]{end}", "[1 i1 i2][2]"),
        ('{.items[?(@.phase=="Pending")].metadata.name}', "b"),
        ("{.items[?(@.n>1)].metadata.name}", "b"),
        ("{.items[?(@.n<=1)].metadata.name}", "a"),
        ("{.items[?(@.c)].metadata.name}", "a"),
        ("{.items[?(@.phase!='Pending')].n}", "1"),
        ("{.items[?(@.phase>1)].n}", ""),
        ("{..image}", "i1 i2"),
        (r"{.items[0].metadata.annotations.x\.y/z}", "q"),
        (r"{.items[0].metadata.annotations['x\.y/z']}", "q"),
        ("{.items[-1:].n}", "2"),
        ("{.items[0:1].n}", "1"),
        ("{.items[0,1].n}", "1 2"),
        ("{.items[*]['n','phase']}", "1 Running 2 Pending"),
        ("{$.items[0].c}", '[{"image":"i1"},{"image":"i2"}]'),
        ("{.items[*].ok}", "true false"),
        ("{.items[7].n}", ""),
        ("{.nothing.at.all}", ""),
        ("text alone", "text alone"),
        ("n={.items[0].n}!", "n=1!"),
        ("{.items[0].metadata.*}", 'a {"x.y/z":"q"}'),
    ],
)
def test_template(template: str, text: str) -> None:
    assert jsonpath.render(template, LIST) == text


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{.x", "unclosed action"),
        ("{range .items[*]}{.n}", "not enough"),
        ("{end}", "end without range"),
        ("{.items[abc]}", "invalid array index"),
        ("{range {.n}}", "unclosed action"),
    ],
)
def test_broken_template_is_the_users_mistake(template: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        jsonpath.render(template, LIST)


@pytest.mark.parametrize("path", ["metadata.name", ".metadata.name", "{.metadata.name}"])
def test_find_is_lenient_about_braces_and_dots(path: str) -> None:
    assert jsonpath.find(path, LIST["items"][0]) == ["a"]
