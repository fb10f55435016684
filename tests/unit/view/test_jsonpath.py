"""JSONPath templates; the expected texts are those that kubectl 1.33 prints."""

import pytest

from netlab.errors import NetlabError, UsageError
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
        {"metadata": {"name": "b"}, "n": 2, "phase": "Pending", "ok": False, "f": "<é>"},
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
        ("{.items[?(@.c[5])].metadata.name}", "a"),  # there is none, but there is a list
        ("{.items[?(@.phase!='Pending')].n}", "1"),
        ("{..image}", "i1 i2"),
        (r"{.items[0].metadata.annotations.x\.y/z}", "q"),
        (r"{.items[0].metadata.annotations['x\.y/z']}", "q"),
        ("{.items[-1:].n}", "2"),
        ("{.items[0:1].n}", "1"),
        ("{.items[0,1].n}", "1 2"),
        ("{.items[*]['n','phase']}", "1 2 Running Pending"),
        ("{['a.b','kind']}{.items[*]['metadata.name','n']}", "a b 1 2"),
        ('{.items[0].metadata.name .x "z"}', "z"),
        (
            "{.items[1].f} {.items[1]}",
            '<é> {"f":"\\u003cé\\u003e","metadata":{"name":"b"},"n":2,'
            '"ok":false,"phase":"Pending"}',
        ),
        ("{$.items[0].c}", '[{"image":"i1"},{"image":"i2"}]'),
        ("{.items[*].ok}", "true false"),
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
        ("{.items[abc]}", "invalid array index"),
        ("{range {.n}}", "unrecognized character"),
        ('{["n"]}', "invalid array index"),
    ],
)
def test_broken_template_is_the_users_mistake(template: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        jsonpath.render(template, LIST)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{.items[7].n}", "array index out of bounds: index 7, length 2"),
        ("{.items[?(@.phase>1)].n}", "incompatible types"),
        ("{.items[*].n[0]}", "int64 is not array or slice"),
        ("{kind}", "unrecognized identifier kind"),
        ("{end}", "not in range, nothing to end"),
    ],
)
def test_template_that_does_not_fit_fails(template: str, why: str) -> None:
    with pytest.raises(NetlabError, match=why) as raised:
        jsonpath.render(template, LIST)
    assert raised.value.exit_code == 1


def test_find_is_lenient_about_what_does_not_fit() -> None:
    assert jsonpath.find(".items[7].n", LIST) == []


@pytest.mark.parametrize("path", ["metadata.name", ".metadata.name", "{.metadata.name}"])
def test_find_is_lenient_about_braces_and_dots(path: str) -> None:
    assert jsonpath.find(path, LIST["items"][0]) == ["a"]
