"""Which class an Ingress gets that names none."""

import pytest

from netlab.store.default_class import IS_DEFAULT, fill


def class_(name, made="2026-01-01T00:00:00Z", *, default=True):
    annotations = {IS_DEFAULT: "true"} if default else {}
    return {"metadata": {"name": name, "creationTimestamp": made, "annotations": annotations}}


def filled(*classes, annotations=None, **spec):
    obj = {"metadata": {"annotations": annotations or {}}, "spec": {"rules": [{}], **spec}}
    fill(obj, classes)
    return obj["spec"].get("ingressClassName")


def test_the_default_one():
    assert filled(class_("a", default=False), class_("nginx")) == "nginx"


@pytest.mark.parametrize("classes", [(), (class_("nginx", default=False),)])
def test_none_where_there_is_no_default(classes):
    assert filled(*classes) is None


def test_not_one_that_says_its_own():
    assert filled(class_("nginx"), ingressClassName="other") == "other"
    assert filled(class_("nginx"), annotations={"kubernetes.io/ingress.class": "other"}) is None


def test_of_several_the_newest():
    older, newer = class_("a"), class_("c", "2026-02-01T00:00:00Z")
    assert filled(older, newer, class_("b", "2026-02-01T00:00:00Z")) == "b"
