"""Rules taken apart."""

from netlab.proxy.iptables.rule import parse_rule, tokens


def test_a_rule_taken_apart():
    rule = parse_rule(
        '! -s 10.0.0.0/8 --protocol tcp -m comment --comment "-j NOT \\"this\\"" '
        "-m conntrack ! --ctstate NEW -m tcp -g AWAY"
    )
    assert [str(condition) for condition in rule.conditions] == [
        "! -s 10.0.0.0/8",
        "-p tcp",
        '--comment -j NOT "this"',
        "! --ctstate NEW",
    ]
    assert (rule.target, rule.goto, rule.comment) == ("AWAY", True, '-j NOT "this"')
    assert rule.modules == ("comment", "conntrack", "tcp")


def test_quoted_words_are_one():
    assert tokens('--comment "two words" -j X') == ["--comment", "two words", "-j", "X"]
