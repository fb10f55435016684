"""What brings rules into a namespace: the protocol that every applier follows."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeVar

from netlab.errors import NetlabError
from netlab.proxy.addresses import Family
from netlab.proxy.names import service_of

Backend = Literal["auto", "nft", "legacy", "libiptc"]
"""What writes iptables' rules; `auto` is what this machine's own iptables is."""


class RestoreFailed(NetlabError):
    """The kernel or iptables-restore refused a rule; what was in force before still is.

    `line` is the refused line's text, "" when nobody could tell; `service` is the service port
    (`ns/name:port`) it belongs to.
    """

    def __init__(self, message: str, line: str, service: str | None) -> None:
        owner = f" (of Service {service_of(service)})" if service else ""
        super().__init__(
            f"{message}{owner}" + (f"\n  {line}" if line else ""),
            hint="the rules that were in force before still are; the next sync tries again",
        )
        self.line = line
        self.service = service


_Rules = TypeVar("_Rules")
_Changes = TypeVar("_Changes", contravariant=True)


class Applier(Protocol[_Rules, _Changes]):
    """Brings the rules of one owner, as kube-proxy is, into one namespace for one family. Blocking;
    for one thread at a time, whoever the owners are: a table is read, merged and written whole.

    Rules and changes are those of its mode: a `Ruleset` and its changes, an `NftTable` and its.
    """

    family: Family

    def read(self) -> _Rules:
        """What the namespace has now."""

    def replace(self, desired: _Rules) -> bool:
        """Make the tables of `desired` so, keeping what is not the owner's. Idempotent; True
        when anything had to change."""

    def update(self, old: _Rules, new: _Rules) -> None:
        """Make what differs of the owner's rules so, of which the old ones were written before."""

    def clear(self) -> bool:
        """Take away all that is the owner's, as `kube-proxy --cleanup` does. Idempotent; True when
        there was something."""

    def change(self, change: _Changes) -> None:
        """Replace and delete single chains; all other rules stay."""

    def fingerprint(self) -> object:
        """A value that changes when somebody changes the rules; cheap at any size."""


AnyApplier = Applier[Any, Any]
