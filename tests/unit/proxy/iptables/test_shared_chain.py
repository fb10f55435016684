"""What Services have in a chain that they share, as one after another changes."""

from hypothesis import given
from hypothesis import strategies as st

from netlab.proxy.iptables import shared_chain
from netlab.proxy.iptables.shared_chain import SharedChain

KEYS = [f"ns/{number:03}" for number in range(40)]
NAMES = st.sampled_from(KEYS)
SHARES = st.lists(st.sampled_from("abc"), max_size=3)


def rules(services):
    """All rules of a chain: those of two Services are never the same."""
    return [f"{key} {rule}" for key in sorted(services) for rule in services[key]]


def share(services, key):
    return [f"{key} {rule}" for rule in services.get(key, ())]


def chain(services):
    return SharedChain([(key, len(services[key])) for key in sorted(services) if services[key]])


@given(
    st.dictionaries(NAMES, SHARES),
    st.lists(st.dictionaries(NAMES, SHARES, min_size=1, max_size=5)),
    st.sampled_from([1, 2, 256]),
)
def test_what_goes_and_comes_is_numbered_in_the_order_of_the_keys(services, changes, block):
    before, shared_chain._BLOCK = shared_chain._BLOCK, block
    try:
        shared = chain(services)
        for change in changes:
            was, after = rules(services), {**services, **change}
            shares = {key: (share(services, key), share(after, key)) for key in change}
            gone, new = shared.change(shares)
            services = after
            assert [was[number - 1] for number, _ in gone] == [rule for _, rule in gone]
            left = [rule for at, rule in enumerate(was, 1) if at not in dict(gone)]
            for number, rule in new:
                left.insert(number - 1, rule)
            assert left == rules(services)
            assert len(shared) == len(left)
            assert [*shared.services()] == [key for key in sorted(services) if services[key]]
    finally:
        shared_chain._BLOCK = before


def test_a_rule_that_stays_is_no_part_of_it():
    shared = chain({"ns/a": ["one"], "ns/b": ["two", "three"]})
    old, new = ["b two", "b three"], ["b two", "b four"]
    assert shared.change({"ns/b": (old, new)}) == ([(3, "b three")], [(3, "b four")])


def test_a_service_whose_rules_change_places_is_written_anew():
    shared = chain({"ns/a": ["one"], "ns/b": ["two", "three"]})
    old, new = ["b two", "b three"], ["b three", "b two"]
    gone, come = shared.change({"ns/b": (old, new)})
    assert (gone, come) == ([(2, old[0]), (3, old[1])], [(2, new[0]), (3, new[1])])


def test_what_is_far_off_is_not_looked_at():
    """A Service beside very many is found by the blocks before it and what stands in its own."""
    shared = SharedChain([(f"ns/{number:05}", 1) for number in range(10_000)])
    assert len(shared._blocks) == -(-10_000 // shared_chain._BLOCK)
    assert shared.change({"ns/09000": (["old"], ["new"])}) == ([(9001, "old")], [(9001, "new")])
    assert max(len(block.keys) for block in shared._blocks) <= 2 * shared_chain._BLOCK
