"""Since when a change of endpoints has been under way."""

from netlab.controllers.triggers import ANNOTATION, Triggers

T1, T2, T3, T4 = (f"2026-01-01T00:00:0{second}Z" for second in range(1, 5))


def service(created=T1):
    return {"metadata": {"name": "web", "namespace": "a", "creationTimestamp": created}}


def pod(name, turned=None):
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": turned}
    return {"metadata": {"name": name}, "status": {"conditions": [ready] if turned else []}}


def test_a_new_service_is_its_own_reason():
    assert Triggers().of(service(), [pod("p", T2)]) == {ANNOTATION: T1}


def test_afterwards_it_is_the_earliest_of_what_changed():
    triggers = Triggers()
    triggers.of(service(), [pod("p", T2), pod("q")])
    assert triggers.of(service(), [pod("p", T2), pod("q")]) == {}
    assert triggers.of(service(), [pod("p", T4), pod("q", T3)]) == {ANNOTATION: T3}
    assert triggers.of(service(), [pod("q", T3)]) == {}, "nobody knows when one went"


def test_another_of_that_name_begins_anew():
    triggers = Triggers()
    triggers.of(service(), [])
    assert triggers.of(service(T3), []) == {ANNOTATION: T3}
    triggers.forget("a/web")
    assert triggers.of(service(T3), []) == {ANNOTATION: T3}
