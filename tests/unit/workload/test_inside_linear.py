"""Regular expressions that take no longer than their text is long, beside Python's own."""

from __future__ import annotations

import random
import re
import time

import pytest
from coredns_on_paper import Server, told

from netlab.workload.inside.linear import MOST, Expression

PARTS = (
    *(
        "a",
        "B",
        ".",
        "[ab]",
        "[^a]",
        r"\w",
        r"\W",
        r"\.",
        "(?:a|b)",
        "(a|ab)",
        "(b)?",
        "(a*)",
        "a??",
    ),
    *("a{1,3}", "b{2}", "a{0,2}?", "^", "$", r"\b", r"\B", "(a|)", "a*?", "b+?", "(?:ab){0,2}"),
    *("(a|b)*", "(.*)", "(?P<x>a)", "(?s:.)", r"\A", r"\Z", "(?:)*", "[a-b.]+"),
)
"""None that goes round with nothing in a group, where Python and RE2 differ."""


@pytest.mark.parametrize("seed", range(8))
def test_it_finds_what_python_finds(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(1_000):
        text = "".join(chance.choices(PARTS, k=chance.randint(1, 5)))
        if text.count("?P<x>") > 1:
            continue
        name = "".join(chance.choices("aAb.\n", k=chance.randint(1, 9)))
        its = re.search(text.replace("$", r"\Z"), name, re.IGNORECASE | re.ASCII)
        found = Expression(text).search(name)
        assert (found is None) is (its is None), (text, name)
        if found is not None and its is not None:
            groups = tuple(found[number + 1] for number in range(len(its.groups())))
            assert (found.start(), found.end()) == its.span(), (text, name)
            assert groups == its.groups(), (text, name)


@pytest.mark.parametrize(
    ("text", "name", "groups"),
    [
        (r"^([[:alpha:]]+)-([[:digit:]]+)\z", "web-17", ("web", "17")),
        ("(?P<first>a)|(b)", "b", (None, "b")),
        ("(?m)^b$", "a\nb\nc", ()),
        ("b$", "b\n", None),
    ],
)
def test_what_go_and_python_write_differently(
    text: str, name: str, groups: tuple[str | None, ...] | None
) -> None:
    expression = Expression(text)
    found = expression.search(name)
    assert (found and tuple(found[each + 1] for each in range(expression.groups))) == groups


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+$",
        "a*x",
        "(.*)x",
        "^(a|a)*$",
        "(.*).(.*).(.*).(.*).(.*)x$",
        "(a?){40}a{40}x",
        "((a*)*)*b",
    ],
)
def test_nothing_takes_long(text: str) -> None:
    expression = Expression(text)
    before = time.process_time()
    assert expression.search("a" * 254 + ".") is None
    assert time.process_time() - before < 2.0  # Python's takes more than a lifetime


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (r"(a)\1", "Perl syntax"),
        ("a(?=b)", "Perl syntax"),
        ("(?<!a)b", "Perl syntax"),
        ("(?>a)b", "Perl syntax"),
        ("a++", "Perl syntax"),
        (f"a{{{MOST}}}", "too large"),
        ("((a{100}){100}){100}", "too large"),
        ("(" * 5_000 + ")" * 5_000, "nests too deeply"),
        ("a{99999999999}", "nests too deeply|too large"),
    ],
)
def test_what_re2_does_not_take(text: str, why: str) -> None:
    with pytest.raises(re.error, match=why):
        Expression(text)


def test_nothing_is_repeated_at_no_cost() -> None:
    assert Expression("(?:(?:(?:){9999}){9999}){9999}b").search("ab") is not None


def test_a_question_does_not_stop_a_server() -> None:
    server = Server(". {\n template IN A . {\n  match (a+)+b$\n  rcode REFUSED\n }\n}")
    before = time.process_time()
    assert told(server.ask(f"{'a' * 60}.{'a' * 60}.{'a' * 60}."))[0] == "NXDOMAIN"
    assert time.process_time() - before < 2.0


def test_a_group_that_there_is_not_stays_as_it_stands() -> None:
    corefile = (
        ". {\n rewrite name regex (a)[.]test {1}{7}.test\n hosts {\n  10.0.0.1 a{7}.test\n }\n}"
    )
    assert told(Server(corefile).ask("a.test."))[0] == "NOERROR"


def test_a_page_of_braces_is_read_at_once() -> None:
    before = time.process_time()
    braces = "{{" + " " * 20_000
    Server(f'. {{\n template IN A . {{\n  answer "{braces}x"\n }}\n}}')
    assert time.process_time() - before < 2.0
