"""What either mode offers by its name, held together: compiled, printed, read, compared, kept."""

import subprocess
import sys

import pytest
from msgspec.structs import replace
from unit.proxy.objects import CONFIG, endpoint_slice, service

from netlab.proxy import modes
from netlab.proxy.node_view import node_view
from netlab.proxy.object_cache import ObjectCache

SERVICES = [service("one", 1), service("two", 2, type="NodePort", port={"nodePort": 30080})]
SLICES = [endpoint_slice("one", "10.244.0.1", "10.244.0.2"), endpoint_slice("two", "10.244.0.1")]


@pytest.fixture(params=["iptables", "nftables"])
def name(request):
    return request.param


@pytest.fixture
def mode(name):
    return modes.of(name)


@pytest.fixture
def node(name):
    return node_view(None, replace(CONFIG, mode=name), "ipv4")


def rules(mode, node, services=SERVICES):
    return mode.assemble(mode.compile_services(services, SLICES, node), node)


def test_what_is_printed_is_read_as_the_same(mode, node):
    text = mode.render(rules(mode, node))
    assert "ipv4" in mode.families(text)
    assert mode.parse(text, "ipv4", file="-") == rules(mode, node)


def test_what_is_missing_has_its_service_named(mode, node):
    assert mode.diff(rules(mode, node), rules(mode, node)) == []
    found = mode.diff(rules(mode, node), rules(mode, node, SERVICES[:1]))
    assert {one.service for one in found if one.service} == {"town/two:p"}
    assert {one.kind for one in found} <= {"missing", "altered"}


def test_a_book_has_what_is_compiled(mode, node):
    objects = ObjectCache()
    for one, its in zip(SERVICES, SLICES, strict=True):
        key = f"town/{one['metadata']['name']}"
        objects.set_service(key, one)
        objects.set_slice(f"{key}-a", its)
    book = mode.book(node, objects)
    assert not book.update(objects.take_touched())[0]
    assert book.ruleset() == rules(mode, node)
    objects.set_service("town/two", None)
    change, before = book.update(objects.take_touched())
    assert change and before["town/two"].key == "town/two"
    assert book.ruleset() == rules(mode, node, SERVICES[:1])
    assert [one.key for one in book] == ["town/one"]


def test_an_applier_is_for_its_family(name, mode, tmp_path):
    backend = "legacy" if name == "iptables" else "auto"
    assert mode.applier(backend, "ipv6", tmp_path).family == "ipv6"


def test_a_controller_imports_one_mode_alone():
    seen = "print(*(name for name in sys.modules if 'nftables' in name))"
    told = f"import sys, netlab.agents.node_proxier; {seen}"
    argv = [sys.executable, "-c", told]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == ""
