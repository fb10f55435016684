"""What Services have in a chain that they share, as one after another changes."""

from hypothesis import given
from hypothesis import strategies as st

from netlab.proxy.iptables import shared_chain
from netlab.proxy.iptables.shared_chain import SharedChain

NAMES = st.sampled_from([f"ns/{number}" for number in range(8)])
RULES = st.lists(st.sampled_from("abc"), max_size=3)


def chain(services):
    return SharedChain(lambda key: services.get(key, ()), lambda: sorted(services))


@given(st.dictionaries(NAMES, RULES), st.lists(st.tuples(NAMES, st.none() | RULES)))
def test_it_has_what_they_have_in_the_order_of_their_keys(services, changes):
    shared = chain(services)
    for key, share in changes:
        services[key] = share or []
        if share is None:
            del services[key]
        shared.changed(key)
        assert list(shared.rules()) == [rule for one in sorted(services) for rule in services[one]]


def test_many_at_once_are_put_together_anew():
    services = {f"ns/{number:03}": [f"rule {number}"] for number in range(300)}
    shared = chain(services)
    assert list(shared.rules()) == [f"rule {number}" for number in range(300)]
    for number in range(shared_chain._FEW + 1):
        del services[f"ns/{number:03}"]
        shared.changed(f"ns/{number:03}")
    assert list(shared.rules()) == [f"rule {n}" for n in range(shared_chain._FEW + 1, 300)]
