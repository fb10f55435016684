import pytest

from netlab.controllers import rollout
from netlab.objects import meta


def deployment(replicas=4, surge="25%", unavailable="25%", kind="RollingUpdate", template="v2"):
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "uid": "d"},
        "spec": {
            "replicas": replicas,
            "strategy": {
                "type": kind,
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
            },
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"image": template}},
        },
    }


def replica_set(name, size, available=None, desired=4, most=5, template="v1", age=0):
    return {
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "uid": name,
            "creationTimestamp": f"2026-01-01T00:00:{age:02}Z",
            "annotations": {
                rollout.DESIRED_REPLICAS: str(desired),
                rollout.MAX_REPLICAS: str(most),
            },
        },
        "spec": {
            "replicas": size,
            "template": {
                "metadata": {"labels": {"app": "web", "pod-template-hash": name}},
                "spec": {"image": template},
            },
        },
        "status": {"availableReplicas": size if available is None else available},
    }


def named(sizes):
    return {meta.name(s): size for s, size in sizes}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (3, "25%", "25%", (1, 0)),
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (10, 2, 0, (2, 0)),
        (10, 0, 0, (0, 1)),  # nothing could ever move: one may be missing
        (3, 0, "10%", (0, 1)),
        (2, 1, 5, (1, 2)),
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_percentages_round_surge_up_and_unavailable_down(replicas, surge, unavailable, expected):
    assert rollout.fenceposts(deployment(replicas, surge, unavailable)) == expected


def test_the_new_set_is_the_oldest_with_the_template_whatever_its_hash_label():
    sets = [
        replica_set("a", 1, template="v1", age=1),
        replica_set("c", 1, template="v2", age=3),
        replica_set("b", 1, template="v2", age=2),
    ]
    found = rollout.find_new(deployment(template="v2"), sets)
    assert found is not None and meta.name(found) == "b"
    assert rollout.find_new(deployment(template="v3"), sets) is None


def test_the_new_set_grows_into_the_surge_only():
    old = replica_set("old", 4)
    assert rollout.new_size(deployment(4, 1, 1), 0, [old]) == 1
    assert rollout.new_size(deployment(4, 1, 1), 1, [old, replica_set("new", 1)]) == 1
    assert rollout.new_size(deployment(4, 0, 2), 0, [replica_set("old", 2)]) == 2
    assert rollout.new_size(deployment(4), 6, [replica_set("new", 6)]) == 4
    assert rollout.new_size(deployment(4, kind="Recreate"), 0, [old]) == 4


def test_old_sets_give_up_the_unhealthy_first_then_what_is_available_to_spare():
    new = replica_set("new", 1, available=1)
    oldest = replica_set("oldest", 2, available=0, age=1)
    old = replica_set("old", 3, available=3, age=2)
    sizes = rollout.old_sizes(deployment(4, 1, 1), new, [old, oldest])
    assert named(sizes) == {"oldest": 0, "old": 2}


def test_nothing_is_taken_while_new_pods_are_not_available():
    new = replica_set("new", 1, available=0)
    assert rollout.old_sizes(deployment(4, 1, 0), new, [replica_set("old", 4)]) == []


def test_a_stale_status_never_takes_below_the_minimum():
    # The old set was scaled to 2 a moment ago, its status still counts 4.
    new, old = replica_set("new", 2, available=2), replica_set("old", 2, available=4)
    assert rollout.old_sizes(deployment(4, 0, 0), new, [old]) == [(old, 1)]
    assert rollout.old_sizes(deployment(4, 1, 0), new, [old]) == []


def test_scaling_a_settled_deployment_goes_to_its_only_set():
    only, empty = replica_set("only", 4), replica_set("empty", 0)
    wanted = deployment(7)
    assert rollout.is_scaling(wanted, [only, empty])
    assert named(rollout.scaled_sizes(wanted, only, [empty])) == {"only": 7}


def test_scaling_while_rolling_is_shared_in_proportion():
    # Kubernetes' own example: 10 replicas, surge 3, 8 old and 5 new, scaled to 15.
    wanted = deployment(15, 3, 2)
    old = replica_set("old", 8, desired=10, most=13, age=1)
    new = replica_set("new", 5, desired=10, most=13, age=2)
    assert named(rollout.scaled_sizes(wanted, new, [old])) == {"old": 11, "new": 7}


def test_scaling_down_in_proportion_leaves_the_allowed_total():
    wanted = deployment(4, 1, 1)
    old = replica_set("old", 8, desired=10, most=13, age=1)
    new = replica_set("new", 5, desired=10, most=13, age=2)
    sizes = named(rollout.scaled_sizes(wanted, new, [old]))
    assert sum(sizes.values()) == 5
    assert sizes["old"] >= sizes["new"]


def test_scaling_to_nothing_empties_all():
    old, new = replica_set("old", 3), replica_set("new", 2)
    assert named(rollout.scaled_sizes(deployment(0), new, [old])) == {"old": 0, "new": 0}


def test_history_keeps_the_newest_empty_sets():
    def empty(name, revision):
        one = replica_set(name, 0)
        one["metadata"]["annotations"][rollout.REVISION] = str(revision)
        return one

    limited = deployment()
    limited["spec"]["revisionHistoryLimit"] = 2
    sets = [empty("a", 10), empty("b", 9), empty("c", 2), empty("d", 1)]
    assert [meta.name(s) for s in rollout.surplus_history(limited, sets)] == ["d", "c"]
