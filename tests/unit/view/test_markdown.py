"""Markdown as it is read on a terminal."""

import pytest

from netlab.view.markdown import render, title

PAGE = """\
# A page: of what there is

A paragraph with `code`, `code of words`, **bold text**, *a word* and a [link](there.md), that is
longer than a line. 2 * 3 * 4 is no emphasis, nor is `a*b*c`; **`both`** is.

## Things

- one, which is so long that it goes on in the next line
  and came in two
- two
1. first
   - below it

    code   stays    as it is

    also behind a blank line

| what | is |
|---|---|
| `a \\| b` | short |
| c | a text that has to be wrapped, or it does not fit |
"""


def plain(text: str, width: int = 40) -> str:
    return render(text, width, lambda text, target: f"{text} <{target}>")


def test_a_page() -> None:
    assert (
        plain(PAGE)
        == """\
A page: of what there is
========================

A paragraph with code, 'code of words',
bold text, a word and a link <there.md>,
that is longer than a line. 2 * 3 * 4 is
no emphasis, nor is a*b*c; both is.

Things
------

- one, which is so long that it goes on
  in the next line and came in two
- two
1. first
   - below it

    code   stays    as it is

    also behind a blank line

what      is
-------   ------------------------------
'a | b'   short
c         a text that has to be wrapped,
          or it does not fit
"""
    )


def test_a_table_without_room_is_a_list() -> None:
    table = "| room | what | at |\n|---|---|---|\n| network/ | plan and apply | plan.py |\n"
    assert plain(table, 80).splitlines()[2] == "network/   plan and apply   plan.py"
    assert plain(table, 24) == "network/\n    what: plan and apply\n    at: plan.py\n"


def test_a_column_without_a_title_is_told_without_one() -> None:
    table = "| room | | at |\n|---|---|---|\n| network/ | plan and apply | plan.py |\n"
    assert plain(table, 24) == "network/\n    plan and apply\n    at: plan.py\n"


def test_a_second_paragraph_of_an_item_stands_below_the_first() -> None:
    text = "1. one, and so on\n\n   One that is in two\n   lines\n2. two\n"
    said = "1. one, and so on\n\n   One that is in\n   two lines\n2. two\n"
    assert plain(text, 18) == said


def test_code_that_is_too_wide_goes_on_below() -> None:
    assert plain("    sudo netlab up a.yaml b.yaml\n", 24) == (
        "    sudo netlab up\n        a.yaml b.yaml\n"
    )


@pytest.mark.parametrize("width", range(20, 101, 10))
def test_it_fits(width: int) -> None:
    assert [line for line in plain(PAGE, width).splitlines() if len(line) > width] == []


def test_titles() -> None:
    assert title(PAGE) == "A page: of what there is"
    assert title("no heading\n") == ""


def test_a_picture_is_told_where_it_cannot_be_shown() -> None:
    assert plain("Hot! ![growth](growth.svg)") == "Hot! growth <growth.svg>\n"
