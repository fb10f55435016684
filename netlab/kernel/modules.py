"""The one kernel module a lab needs that nothing loads by itself: br_netfilter.

Without it, what goes between two pods of one bridge never meets the rules, and a pod cannot reach
its neighbour through a Service. Loading it would change the machine: its own bridges' traffic would
begin to pass its own rules. So that is switched off again at once, in the machine's namespace;
nodes switch it on in theirs.
"""

from __future__ import annotations

from pathlib import Path

from netlab.errors import EnvironmentLacks, NetlabError
from netlab.kernel.run import run

SWITCHES = Path("/proc/sys/net/bridge")
MODULE = "br_netfilter"


def ensure_bridge_netfilter(switches: Path = SWITCHES) -> bool:
    """Load br_netfilter unless it is there; True when it was loaded.

    The calling thread must be in the machine's own namespace. `EnvironmentLacks` when the module
    cannot be loaded, as in most containers.
    """
    if switches.exists():
        return False
    try:
        run(["modprobe", MODULE])
    except NetlabError as error:
        raise EnvironmentLacks(
            f"the kernel module {MODULE} is not loaded, and cannot be from here: {error.message}",
            hint=f"on the machine itself: sudo modprobe {MODULE}",
        ) from error
    for switch in sorted(switches.glob("bridge-nf-call-*")):
        switch.write_text("0")
    return True
