"""Loading br_netfilter, with a modprobe of our own that makes the switches appear."""

import pytest

from netlab.errors import EnvironmentLacks
from netlab.kernel.modules import ensure_bridge_netfilter

LOADS = """#!/bin/sh
mkdir -p "$SWITCHES" && echo "$1" > "$SWITCHES/../loaded"
for name in iptables ip6tables arptables; do echo 1 > "$SWITCHES/bridge-nf-call-$name"; done
echo 0 > "$SWITCHES/bridge-nf-filter-vlan-tagged"
"""
REFUSES = "#!/bin/sh\necho 'Operation not permitted' >&2; exit 1\n"


@pytest.fixture
def switches(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SWITCHES", str(tmp_path / "bridge"))
    return tmp_path / "bridge"


def modprobe(switches, text):
    program = switches.parent / "modprobe"
    program.write_text(text)
    program.chmod(0o755)


def test_a_loaded_module_is_left_as_it_is(switches):
    modprobe(switches, REFUSES)
    switches.mkdir()
    (switches / "bridge-nf-call-iptables").write_text("1")
    assert ensure_bridge_netfilter(switches) is False
    assert (switches / "bridge-nf-call-iptables").read_text() == "1"


def test_after_loading_the_machines_own_bridges_are_as_before(switches):
    modprobe(switches, LOADS)
    assert ensure_bridge_netfilter(switches) is True
    assert (switches.parent / "loaded").read_text() == "br_netfilter\n"
    assert [s.read_text() for s in sorted(switches.glob("bridge-nf-call-*"))] == ["0"] * 3


def test_where_it_cannot_be_loaded_the_hint_says_what_to_do(switches):
    modprobe(switches, REFUSES)
    with pytest.raises(EnvironmentLacks, match="sudo modprobe br_netfilter"):
        ensure_bridge_netfilter(switches)
