"""A pod's /etc/resolv.conf: what its policy gives, and what it adds itself.

Merged as kubelet does (pkg/kubelet/network/dns): a resolver heeds the last `search` line alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct


class ResolvConf(Struct, frozen=True):
    """Search domains, name servers, and options with their values ("" for those that have none)."""

    searches: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def with_config(self, config: Mapping[str, Any]) -> ResolvConf:
        """With a pod's dnsConfig: more domains and servers, options instead of those so named."""
        own = tuple(
            (str(option.get("name")), str(option.get("value") or ""))
            for option in config.get("options") or ()
        )
        return ResolvConf(
            _merged(self.searches, config.get("searches")),
            _merged(self.nameservers, config.get("nameservers")),
            tuple(dict(self.options + own).items()),
        )

    def text(self) -> str:
        """The file, in the order in which kubelet writes it."""
        options = [f"{name}:{value}" if value else name for name, value in self.options]
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {address}" for address in self.nameservers]
        lines += [f"options {' '.join(options)}"] if options else []
        return "".join(f"{line}\n" for line in lines)


def cluster_first(namespace: str, servers: tuple[str, ...], domain: str) -> ResolvConf:
    """What dnsPolicy ClusterFirst gives the pods of a namespace."""
    searches = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain)
    return ResolvConf(searches, servers, (("ndots", "5"),))


def _merged(given: tuple[str, ...], own: Sequence[Any] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*given, *(str(each) for each in own or ()))))
