"""iptables-save text, read and written."""

import pytest

from netlab.errors import InputError
from netlab.proxy.iptables.parse import parse
from netlab.proxy.iptables.render import render, render_restore


def test_text_comes_back_the_same():
    text = (
        "*nat\n:PREROUTING ACCEPT [5:300]\n:OTHERS - [0:0]\n"
        '[2:120] -A PREROUTING -m comment --comment "it\\"s \\\\ fine" -j OTHERS\n'
        "[0:0] -A OTHERS\nCOMMIT\n"
    )
    assert render(parse(text)) == text


def test_restoring_declares_chains_unsorted_but_the_same():
    text = "*nat\n:PREROUTING ACCEPT [0:0]\n:A-Z - [0:0]\n:Z-A - [0:0]\nCOMMIT\n"
    declared = render_restore(parse(text)).splitlines()
    assert declared[1:4] == [":PREROUTING ACCEPT [0:0]", ":Z-A - [0:0]", ":A-Z - [0:0]"]


def test_a_jump_to_nowhere_has_a_line_where_a_text_is_to_be_complete():
    text = '*nat\n:A - [0:0]\n-A A -m comment --comment "x -j y" -j KUBE-NONE\nCOMMIT\n'
    assert parse(text).rules()
    with pytest.raises(InputError) as raised:
        parse(text, file="save.txt", complete=True)
    assert "save.txt:3: there is no chain KUBE-NONE" in str(raised.value)


@pytest.mark.parametrize(
    "text, line",
    [
        ("hello\n", 1),
        ("*nat\n-A NOWHERE -j ACCEPT\nCOMMIT\n", 2),
        ("*nat\n:CHAIN\nCOMMIT\n", 2),
        ("*nat\n:A - [0:0]\n-D A 1\nCOMMIT\n", 3),
        ("*nat\n:A - [0:0]\n", 2),
        ("*nat\n*filter\n", 2),
        ("*nat\nCOMMIT\n*nat\nCOMMIT\n", 3),
        ("*broute\nCOMMIT\n", 1),
        ("*filter\n:INPUT REJECT [0:0]\nCOMMIT\n", 2),
        ("*filter\n:INPUT accept [0:0]\nCOMMIT\n", 2),
        ("*filter\n:INPUT ACCEPT [-1:0]\nCOMMIT\n", 2),
        ("*filter\n:INPUT ACCEPT [" + "9" * 5000 + ":0]\nCOMMIT\n", 2),
        ("*filter\n:MINE ACCEPT [0:0]\nCOMMIT\n", 2),
        ("*filter\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n", 2),
        ("*filter\n:A - [0:0]\n:A - [0:0]\nCOMMIT\n", 3),
        ("*filter\n:ACCEPT - [0:0]\nCOMMIT\n", 2),
        ("\x00\x01\x02", 1),
        ("COMMIT\n", 1),
    ],
)
def test_text_that_is_no_iptables_save(text, line):
    with pytest.raises(InputError) as raised:
        parse(text, file="save.txt")
    assert (raised.value.problems[0].file, raised.value.problems[0].line) == ("save.txt", line)
