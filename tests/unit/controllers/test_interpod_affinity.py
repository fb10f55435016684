"""Inter-pod affinity and topology spread: what each rule says of each node."""

import pytest

from netlab.controllers import placement
from netlab.controllers.interpod_affinity import SPREAD, InterPodAffinity, Others

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
DURING = "DuringSchedulingIgnoredDuringExecution"
NEAR = "node(s) didn't match pod affinity rules"
FAR = "node(s) didn't match pod anti-affinity rules"
KEPT = "node(s) didn't satisfy existing pods anti-affinity rules"


def node(name, zone=None, **spec):
    labels = {HOST: name, **({ZONE: zone} if zone else {})}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": ready}


NODES = [node("a1", "a"), node("a2", "a"), node("b1", "b"), node("lone")]


def pod(on=None, app="web", namespace="default", phase="Running", going=False, **spec):
    metadata = {"name": "p", "namespace": namespace, "labels": {"app": app}}
    if going:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    spec = {**spec, **({"nodeName": on} if on else {})}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def term(app="web", key=ZONE, **more):
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}


def near(*terms):
    return {"affinity": {"podAffinity": {f"required{DURING}": list(terms)}}}


def far(*terms):
    return {"affinity": {"podAntiAffinity": {f"required{DURING}": list(terms)}}}


def spread(key=ZONE, when="DoNotSchedule", **more):
    return {"topologySpreadConstraints": [{**term(key=key), "maxSkew": 1,
                                           "whenUnsatisfiable": when, **more}]}  # fmt: skip


def refusals(newcomer, *others, nodes=NODES, namespaces=None, repelling=()):
    there = Others([*others, *repelling], repelling, namespaces or {"default": {}, "shop": {}})
    affinity = InterPodAffinity(newcomer, nodes, there)
    return {one["metadata"]["name"]: affinity.refusal(one) for one in nodes}


def open_to(*args, **how):
    return {name for name, why in refusals(*args, **how).items() if why is None}


def test_affinity_follows_its_pods_into_their_domain():
    newcomer = pod(app="cache", **near(term("web")))
    assert open_to(newcomer, pod("a1")) == {"a1", "a2"}
    assert refusals(newcomer, pod("a1"))["b1"] == NEAR
    assert refusals(newcomer, pod("a1"))["lone"] == NEAR
    assert open_to(newcomer, pod("a1", phase="Succeeded")) == set()
    both = pod(app="cache", **near(term("web"), term("db", HOST)))
    assert open_to(both, pod("a1"), pod("a2", "db")) == {"a2"}


def test_the_first_of_those_who_want_to_be_together_may_go_anywhere_in_a_domain():
    assert open_to(pod(**near(term("web")))) == {"a1", "a2", "b1"}
    assert open_to(pod(**near(term("web"))), pod("b1")) == {"b1"}
    assert open_to(pod(app="cache", **near(term("web")))) == set()


def test_anti_affinity_avoids_domains_and_keeps_others_away():
    assert open_to(pod(**far(term("web"))), pod("a1")) == {"b1", "lone"}
    assert refusals(pod(**far(term("web", HOST))), pod("a1"))["a1"] == FAR
    loner = pod("a1", "db", **far(term("web")))
    assert refusals(pod(), repelling=[loner]) == {"a1": KEPT, "a2": KEPT, "b1": None, "lone": None}
    assert open_to(pod(app="other"), repelling=[loner]) == {"a1", "a2", "b1", "lone"}


def test_terms_are_about_their_namespaces():
    shop = pod("a1", namespace="shop")
    newcomer = {"app": "cache"}
    assert open_to(pod(**newcomer, **near(term("web"))), shop) == set()
    assert open_to(pod(**newcomer, **near(term("web", namespaces=["shop"]))), shop) == {"a1", "a2"}
    by_label = term("web", namespaceSelector={"matchLabels": {"team": "x"}})
    spaces = {"default": {}, "shop": {"team": "x"}}
    assert open_to(pod(**newcomer, **near(by_label)), shop, namespaces=spaces) == {"a1", "a2"}
    everywhere = term("web", namespaceSelector={})
    assert open_to(pod(**newcomer, **near(everywhere)), shop) == {"a1", "a2"}
    assert open_to(pod(**newcomer, **near(everywhere)), pod("b1")) == {"b1"}


def test_a_term_without_selector_means_nobody():
    assert open_to(pod(**near({"topologyKey": ZONE})), pod("a1")) == set()


def test_keys_narrow_a_term_to_pods_with_the_same_value():
    old, new = pod("a1"), pod(**far(term("web", matchLabelKeys=["hash"])))
    old["metadata"]["labels"]["hash"], new["metadata"]["labels"]["hash"] = "1", "2"
    assert "a1" in open_to(new, old)
    new["metadata"]["labels"]["hash"] = "1"
    assert "a1" not in open_to(new, old)
    other = pod(**far(term("web", mismatchLabelKeys=["hash"])))
    other["metadata"]["labels"]["hash"] = "1"
    assert "a1" in open_to(other, old)


def test_spread_keeps_domains_within_their_skew():
    assert open_to(pod(**spread())) == {"a1", "a2", "b1"}
    found = refusals(pod(**spread()), pod("a1"))
    assert found["a2"] == SPREAD
    assert found["b1"] is None
    assert found["lone"] == f"{SPREAD} (missing required label)"
    assert open_to(pod(**spread()), pod("a1"), pod("b1")) == {"a1", "a2", "b1"}
    assert open_to(pod(**spread(maxSkew=2)), pod("a1")) == {"a1", "a2", "b1"}
    assert open_to(pod(**spread()), pod("a1", going=True)) == {"a1", "a2", "b1"}
    assert open_to(pod(**spread()), pod("a1", namespace="shop")) == {"a1", "a2", "b1"}


def test_spread_counts_itself_only_if_it_is_meant():
    assert open_to(pod(app="other", **spread()), pod("a1")) == {"a1", "a2", "b1"}


def test_too_few_domains_count_as_an_empty_one():
    assert open_to(pod(**spread(minDomains=3)), pod("a1"), pod("b1")) == set()


@pytest.mark.parametrize(
    ("policy", "zones"),
    [({}, set()), ({"nodeTaintsPolicy": "Honor"}, {"a1", "a2"})],
)
def test_a_tainted_node_is_a_domain_unless_taints_count(policy, zones):
    nodes = [node("a1", "a"), node("a2", "a"), node("b1", "b", taints=[{"key": "k",
             "effect": "NoSchedule"}])]  # fmt: skip
    assert open_to(pod(**spread(**policy)), pod("a1"), nodes=nodes) - {"b1"} == zones


@pytest.mark.parametrize(
    ("policy", "zones"),
    [({}, {"a1", "a2"}), ({"nodeAffinityPolicy": "Ignore"}, set())],
)
def test_a_node_the_pod_cannot_go_to_is_no_domain_unless_affinity_is_ignored(policy, zones):
    newcomer = pod(nodeSelector={ZONE: "a"}, **spread(**policy))
    assert open_to(newcomer, pod("a1")) - {"b1"} == zones


def best(newcomer, *others):
    affinity = InterPodAffinity(newcomer, NODES, Others(others, [], {"default": {}}))
    return placement.place(newcomer, NODES, lambda _: (0, 0, []), affinity).node


def test_preferences_rank():
    def preferred(which, app):
        weighted = {"weight": 5, "podAffinityTerm": term(app)}
        return {"affinity": {which: {f"preferred{DURING}": [weighted]}}}

    assert best(pod(**preferred("podAffinity", "db")), pod("b1", "db")) == "b1"
    assert best(pod(**preferred("podAntiAffinity", "db")), pod("a1", "db")) == "b1"
    assert best(pod(**spread(when="ScheduleAnyway")), pod("a2")) == "b1"
    assert best(pod(**spread(when="ScheduleAnyway")), pod("a2"), pod("b1"), pod("b1")) == "a1"
    assert best(pod()) == "a1"
