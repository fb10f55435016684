"""What several nodes' books compile once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from unit.proxy.objects import NODE, endpoint_slice, service

from netlab.proxy import modes
from netlab.proxy.object_cache import ObjectCache
from netlab.proxy.sharing import Compiled

KEY = "town/web"


class Cluster:
    """Books of nodes that share what they compile; `told` are the objects of all."""

    def __init__(self, mode):
        self.shared, self.book = Compiled(), modes.of(mode).book
        self.objects = ObjectCache()

    def tell(self, spec, slices):
        self.objects.set_service(KEY, spec)
        for number, one in enumerate(slices):
            self.objects.set_slice(f"{KEY}-{number}", one)

    def node(self, **differs):
        book = self.book(replace(NODE, **differs), self.objects, self.shared)
        book.update(())
        return book


@pytest.fixture(params=["iptables", "nftables"])
def cluster(request):
    return Cluster(request.param)


def test_rules_of_a_service_without_anything_of_the_nodes_are_one(cluster):
    cluster.tell(service("web", 1), [endpoint_slice("web", "10.244.7.1")])
    one, other = cluster.node(name="beta", ip="10.10.11.1"), cluster.node(name="gamma", zone="b")
    assert one.get(KEY) is other.get(KEY)


def test_a_service_that_changed_is_compiled_anew(cluster):
    slices = [endpoint_slice("web", "10.244.7.1")]
    cluster.tell(service("web", 1), slices)
    one, other = cluster.node(name="beta"), cluster.node(name="gamma")
    before = one.get(KEY)
    cluster.objects.set_service(KEY, service("web", 2))
    one.update([KEY])
    assert one.get(KEY) != before
    assert other.get(KEY) == before
    other.update([KEY])
    assert other.get(KEY) is one.get(KEY)


def test_a_node_that_is_in_another_zone_now_goes_by_its_hints(cluster):
    slice_ = endpoint_slice("web", "10.244.7.1", "10.244.7.2")
    for endpoint, zone in zip(slice_["endpoints"], "ab", strict=True):
        endpoint["hints"] = {"forZones": [{"name": zone}]}
    cluster.tell(service("web", 1), [slice_])
    book = cluster.node(name="alpha", zone="a")
    before = book.get(KEY)
    book.look_again(replace(NODE, name="alpha", zone="b"))
    assert book.get(KEY) != before


def test_what_is_gone_is_kept_by_nobody(cluster):
    cluster.tell(service("web", 1), [])
    book = cluster.node()
    cluster.objects.set_service(KEY, None)
    book.update([KEY])
    assert cluster.shared._entries == {}


def test_nodes_have_the_keys_of_their_objects_in_common():
    caches = [ObjectCache(), ObjectCache()]
    for cache in caches:
        key = "/".join(["town", "web"])  # each listener makes its own
        cache.set_service(key, service("web", 1))
        cache.set_slice(f"{key}-a", endpoint_slice("web", "10.244.7.1"))
    one, other = (cache.take_touched() for cache in caches)
    assert one == other == [KEY]
    assert one[0] is other[0]
    assert all(next(iter(cache.keys())) is one[0] for cache in caches)


def test_slices_of_a_service_come_and_go_in_the_order_of_their_keys():
    cache = ObjectCache()
    a, b = (endpoint_slice("web", f"10.244.7.{number}") for number in (1, 2))
    cache.set_slice(f"{KEY}-b", b)
    cache.set_slice(f"{KEY}-a", a)
    assert cache.slices(KEY) == [a, b]
    cache.set_slice(f"{KEY}-a", endpoint_slice("other", "10.244.7.1"))
    assert cache.slices(KEY) == [b]
    cache.set_slice(f"{KEY}-b", None)
    assert cache.slices(KEY) == []
    assert cache.take_touched() == ["town/other", KEY]
