"""Linux capabilities: which a container has, and which it may have besides."""

from __future__ import annotations

DEFAULT_CAPABILITIES = (
    "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "net_bind_service", "net_raw", "sys_chroot", "audit_write", "setfcap",
)  # fmt: skip
"""Docker's default, without mknod: a device node of the machine's disk would be the machine."""

HARMLESS = frozenset(("net_admin", "net_broadcast", "sys_ptrace", "ipc_lock"))
"""What `capabilities.add` may add: each is confined to the pod's own namespaces."""

GRANTABLE = HARMLESS.union(DEFAULT_CAPABILITIES)
"""All that a container of a lab can have."""


def plain(name: str) -> str:
    """A capability's name as setpriv(1) writes it: `CAP_NET_ADMIN` is `net_admin`."""
    return name.lower().removeprefix("cap_")
