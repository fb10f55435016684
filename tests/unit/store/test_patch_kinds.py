from __future__ import annotations

from typing import Any

import pytest

from netlab.errors import ApiError, BadRequest, Invalid
from netlab.store.patch import json_patched, merge_patched, patched

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "finalizers": ["a/x", "b/y"]},
    "spec": {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "nginx",
                        "args": ["-a", "-b"],
                        "env": [{"name": "A", "value": "1"}],
                    },
                    {"name": "side", "image": "busybox"},
                ]
            }
        },
    },
}


def strategic(patch: dict[str, Any]) -> dict[str, Any]:
    return patched(DEPLOYMENT, patch, "application/strategic-merge-patch+json")


def containers(*entries: dict[str, Any], **beside: Any) -> list[dict[str, Any]]:
    result = strategic({"spec": {"template": {"spec": {"containers": [*entries], **beside}}}})
    found: list[dict[str, Any]] = result["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merge_patched(target, patch) == result


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [  # RFC 6902, appendix A
        (
            {"foo": "bar"},
            [{"op": "add", "path": "/baz", "value": "qux"}],
            {"foo": "bar", "baz": "qux"},
        ),
        (
            {"foo": ["bar", "baz"]},
            [{"op": "add", "path": "/foo/1", "value": "qux"}],
            {"foo": ["bar", "qux", "baz"]},
        ),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["a", "b", "c"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["a", "c"]}),
        ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "qux"}], {"baz": "qux"}),
        (
            {"foo": ["bar"]},
            [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
            {"foo": ["bar", ["abc", "def"]]},
        ),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        (
            {"a": {"b": [1]}},
            [
                {"op": "copy", "from": "/a/b", "path": "/c"},
                {"op": "add", "path": "/c/0", "value": 2},
            ],
            {"a": {"b": [1]}, "c": [2, 1]},
        ),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ],
)
def test_json_patch(document: Any, operations: Any, result: Any) -> None:
    assert json_patched(document, operations) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": "no"},
        {"op": "test", "path": "/flag", "value": 1},
        {"op": "remove", "path": "/nothing"},
        {"op": "replace", "path": "/nothing", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "no-slash", "value": 1},
        {"op": "add", "path": "/a"},
        {"op": "move", "from": "/list", "path": "/list/0"},
        {"op": "jump", "path": "/a"},
        {"path": "/a"},
        "nonsense",
    ],
)
def test_a_json_patch_that_cannot_be_applied_changes_nothing(operation: Any) -> None:
    document = {"a": "yes", "list": [1], "flag": True}
    with pytest.raises(Invalid, match="the server rejected our request"):
        json_patched(document, [{"op": "add", "path": "/list/0", "value": 0}, operation])
    assert document == {"a": "yes", "list": [1], "flag": True}


def test_copies_of_copies_end_before_the_memory_does() -> None:
    document = {"a": {"b": "x" * 1000}}
    doubling = [{"op": "copy", "from": "/a", "path": f"/a/{n}"} for n in range(40)]
    with pytest.raises(Invalid, match="the server rejected our request"):
        json_patched(document, doubling)


def test_a_json_patch_has_so_many_operations_at_most() -> None:
    operations = [{"op": "add", "path": "/a", "value": 1}] * 10_001
    with pytest.raises(ApiError, match="maximum operations in a JSON patch is 10000") as caught:
        json_patched({}, operations)
    assert (caught.value.code, caught.value.reason) == (413, "RequestEntityTooLarge")
    assert json_patched({}, operations[1:]) == {"a": 1}


def test_strategic_merges_lists_by_their_key() -> None:
    web, side = containers({"name": "web", "image": "nginx:2"})
    assert (web["image"], web["args"], side["name"]) == ("nginx:2", ["-a", "-b"], "side")
    added = containers({"name": "new", "image": "x"})
    assert [one["name"] for one in added] == ["new", "web", "side"]
    assert DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx"


def test_strategic_merges_nested_lists_and_replaces_plain_ones() -> None:
    (web, _) = containers({"name": "web", "args": ["-c"], "env": [{"name": "B", "value": "2"}]})
    assert web["args"] == ["-c"]
    assert web["env"] == [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]


def test_strategic_merges_long_lists_in_passing() -> None:
    """Searched element by element, these lists take minutes."""
    numbers = range(30_000)
    ports = [{"name": f"p{number}", "port": number} for number in numbers]
    order = [{"port": number} for number in reversed(numbers)]
    gone = [{"port": number, "$patch": "delete"} for number in numbers[1:]]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"ports": ports}}

    def patched_ports(**spec: Any) -> Any:
        kind = "application/strategic-merge-patch+json"
        return patched(service, {"spec": spec}, kind)["spec"]["ports"]

    assert patched_ports(ports=ports[::-1], **{"$setElementOrder/ports": order}) == ports[::-1]
    assert patched_ports(ports=gone) == ports[:1]
    assert patched_ports(ports=ports[::-1]) == ports[::-1]


def test_strategic_directives_of_lists() -> None:
    assert [c["name"] for c in containers({"name": "web", "$patch": "delete"})] == ["side"]
    assert containers({"$patch": "replace"}, {"name": "only"}) == [{"name": "only"}]
    order = {"$setElementOrder/containers": [{"name": "side"}, {"name": "new"}, {"name": "web"}]}
    ordered = containers({"name": "new"}, **order)
    assert [one["name"] for one in ordered] == ["side", "new", "web"]
    with pytest.raises(BadRequest, match="does not contain declared merge key: name"):
        containers({"image": "x"})


def test_ports_of_one_number_are_one_to_a_patch() -> None:
    """Upstream's merge knows them by their number alone (kubernetes#39188)."""

    def ports(current: list[dict[str, Any]], patch: list[dict[str, Any]]) -> Any:
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {}}
        change = {"spec": {"ports": patch}}
        kind = "application/strategic-merge-patch+json"
        return patched({**service, "spec": {"ports": current}}, change, kind)["spec"]["ports"]

    udp, tcp = {"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}
    assert ports([udp, tcp], [{**tcp, "name": "t"}]) == [{**tcp, "name": "t"}, tcp]
    assert ports([udp, tcp], [{**tcp, "$patch": "delete"}]) == []
    assert ports([tcp], [udp]) == [udp], "a change of protocol"
    assert ports([tcp], [tcp, udp]) == [udp]


def test_what_is_new_stands_where_something_is_gone() -> None:
    """As kubectl prints it, and a cluster has it; without the order it would be at the end."""
    order = {"$setElementOrder/containers": [{"name": "new"}]}
    ordered = containers({"name": "web", "$patch": "delete"}, {"name": "new"}, **order)
    assert [one["name"] for one in ordered] == ["side", "new"]
    order = {"$setElementOrder/containers": [{"name": "new"}, {"name": "web"}]}
    ordered = containers({"name": "new"}, {"name": "web"}, **order)
    assert [one["name"] for one in ordered] == ["new", "web", "side"]


def test_a_patch_comes_in_the_order_that_it_asks_for() -> None:
    order = {"$setElementOrder/containers": [{"name": "side"}, {"name": "web"}]}
    with pytest.raises(BadRequest, match="doesn't match"):
        containers({"name": "web"}, {"name": "side"}, **order)
    with pytest.raises(BadRequest, match="doesn't match"):
        containers({"name": "new"}, **order)


def test_strategic_directives_of_primitive_lists() -> None:
    added = strategic({"metadata": {"finalizers": ["c/z", "a/x"]}})
    assert added["metadata"]["finalizers"] == ["c/z", "a/x", "b/y"]
    removed = strategic({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"]}})
    assert removed["metadata"]["finalizers"] == ["b/y"]
    order = {"$setElementOrder/finalizers": ["b/y", "a/x"]}
    assert strategic({"metadata": order})["metadata"]["finalizers"] == ["b/y", "a/x"]


def test_strategic_directives_of_mappings() -> None:
    kept = strategic({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})
    assert kept["spec"]["strategy"] == {"type": "Recreate"}
    replaced = strategic({"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}})
    assert replaced["spec"]["strategy"] == {"type": "Recreate"}
    assert strategic({"spec": {"strategy": {"$patch": "delete"}}})["spec"]["strategy"] == {}
    assert "strategy" not in strategic({"spec": {"strategy": None}})["spec"]
    with pytest.raises(BadRequest, match="unknown patch type"):
        strategic({"spec": {"$patch": "explode"}})
    with pytest.raises(BadRequest, match="invalid patch format of retainKeys"):
        strategic({"spec": {"strategy": {"$retainKeys": ["rollingUpdate"], "type": "Recreate"}}})


def test_an_unknown_patch_type() -> None:
    with pytest.raises(ApiError) as raised:
        patched(DEPLOYMENT, {}, "text/plain")
    assert raised.value.code == 415


@pytest.mark.parametrize("patch", [[], "text", 3, None])
def test_a_patch_must_be_a_mapping(patch: Any) -> None:
    with pytest.raises(BadRequest):
        patched(DEPLOYMENT, patch, "application/merge-patch+json")


def test_a_patch_leaves_an_object() -> None:
    with pytest.raises(BadRequest, match="metadata"):
        patched(DEPLOYMENT, {"metadata": None}, "application/merge-patch+json")
