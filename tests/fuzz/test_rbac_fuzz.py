"""RBAC over any roles: what is allowed and what may be given away agree, and words never fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netlab.objects import rbac
from netlab.objects.rbac import Attributes, User

VERBS = st.sampled_from(["get", "list", "create", "escalate", "*"])
GROUPS = st.sampled_from(["", "apps", "*"])
RESOURCES = st.sampled_from(
    ["pods", "pods/log", "things", "things/scale", "*/scale", "*", "pods/*"]
)
NAMES = st.sampled_from(["a", "b"])
URLS = st.sampled_from(["/healthz", "/healthz/*", "/api", "/api/*", "*", "/"])


def some(of: Any) -> Any:
    return st.lists(of, min_size=1, max_size=3)


RULES = st.one_of(
    st.fixed_dictionaries(
        {"verbs": some(VERBS), "apiGroups": some(GROUPS), "resources": some(RESOURCES)},
        optional={"resourceNames": st.lists(NAMES, max_size=2)},
    ),
    st.fixed_dictionaries({"verbs": some(VERBS), "nonResourceURLs": some(URLS)}),
)
WANTED = st.one_of(
    st.builds(
        Attributes,
        st.sampled_from(["get", "list", "create", "escalate", "x"]),
        st.sampled_from(["", "apps", "x"]),
        st.sampled_from(["pods", "things"]),
        st.sampled_from(["", "log", "scale", "*"]),
        st.sampled_from(["", "default"]),
        st.sampled_from(["", "a", "b", "c"]),
    ),
    st.builds(
        lambda verb, path: Attributes(verb, path=path),
        st.sampled_from(["get", "x"]),
        st.sampled_from(["/", "/healthz", "/healthz/ping", "/apis", "/api/v1", "/x"]),
    ),
)


class Everybody:
    """One ClusterRole that everybody has."""

    def __init__(self, rules: Sequence[Any]) -> None:
        self._rules = rules

    def cluster_bindings(self) -> Iterable[Any]:
        subject = {"kind": "Group", "name": "all"}
        yield {
            "metadata": {"name": "b"},
            "roleRef": {"kind": "C", "name": "r"},
            "subjects": [subject],
        }

    def bindings(self, _namespace: str) -> Iterable[Any]:
        return ()

    def rules(self, _reference: Any, _namespace: str) -> Sequence[Any]:
        return self._rules


@given(st.lists(RULES, max_size=3), st.lists(RULES, max_size=3), WANTED)
def test_who_may_give_something_away_may_do_it(held: Any, away: Any, wanted: Attributes) -> None:
    if rbac.missing(held, away) == [] and any(rbac.allows(rule, wanted) for rule in away):
        assert any(rbac.allows(rule, wanted) for rule in held)


@given(st.lists(RULES, max_size=3), WANTED)
def test_rules_mean_what_their_parts_mean(rules: Any, wanted: Attributes) -> None:
    parts = [part for rule in rules for part in rbac.broken_down(rule)]
    assert any(rbac.allows(rule, wanted) for rule in rules) is any(
        rbac.allows(part, wanted) for part in parts
    )
    assert rbac.missing(rules, rules) == []


@given(st.lists(RULES, max_size=3), WANTED)
def test_a_verdict_is_that_of_the_rules(rules: Any, wanted: Attributes) -> None:
    user = User("u", ("all",))
    verdict = rbac.decide(user, wanted, Everybody(rules))
    assert verdict.allowed is any(rbac.allows(rule, wanted) for rule in rules)
    assert not rbac.decide(User("other"), wanted, Everybody(rules)).allowed
    assert rbac.denial(user, wanted).startswith('User "u" cannot ')
    assert rbac.escalation(user, rules).startswith('user "u" ')
