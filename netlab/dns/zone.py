"""The whole cluster zone in memory, service by service: what the responder answers from. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter

from netlab.dns.records import NO_RECORDS, ServiceRecords, Srv, undashed
from netlab.dns.terms import OWN_TTL


class Zone:
    """The names of a cluster domain, each known exactly as long as a Service contributes it."""

    def __init__(self, domain: str) -> None:
        self.domain = domain.lower().rstrip(".")
        self.ttl = OWN_TTL
        """For how many seconds it may be believed that there is no such name."""
        self._services: dict[str, ServiceRecords] = {}
        self._addresses: dict[str, list[str]] = {}
        self._pointers: dict[str, list[str]] = {}
        self._srv: dict[str, tuple[Srv, ...]] = {}
        self._aliases: dict[str, str] = {}
        # How many names lie at or below a name: a name with only others below it exists too.
        self._below: Counter[str] = Counter({self.domain: 1, f"pod.{self.domain}": 1})

    def replace(self, key: str, records: ServiceRecords) -> None:
        """Let the Service `key` contribute these records instead of its former ones."""
        self._withdraw(self._services.pop(key, NO_RECORDS))
        if records != NO_RECORDS:
            self._services[key] = records
            self._contribute(records)

    def service(self, key: str) -> ServiceRecords:
        """What the Service `key` contributes at present."""
        return self._services.get(key, NO_RECORDS)

    def services(self) -> dict[str, ServiceRecords]:
        """Every contribution, by the Service's key. Not to be changed."""
        return self._services

    def addresses(self, name: str, version: int) -> list[str]:
        """The addresses of a name, of IP version 4 or 6; pod names are computed, not stored."""
        known = self._addresses.get(name) or self._pod_addresses(name)
        return [each for each in known if ipaddress.ip_address(each).version == version]

    def srv(self, name: str) -> tuple[Srv, ...]:
        """The SRV records of a name."""
        return self._srv.get(name, ())

    def alias(self, name: str) -> str | None:
        """The target of the name's CNAME, if it has one."""
        return self._aliases.get(name)

    def pointers(self, reverse_name: str) -> list[str]:
        """The names of the address that `5.1.244.10.in-addr.arpa` spells."""
        return self._pointers.get(reverse_name, [])

    def contains(self, name: str) -> bool:
        """True for the domain and every name under it, existing or not."""
        return name == self.domain or name.endswith(f".{self.domain}")

    def exists(self, name: str) -> bool:
        """True when the name has records or a name below it has (which makes it NODATA)."""
        return name in self._below or bool(self._pod_addresses(name))

    def shared(self, records: ServiceRecords) -> bool:
        """True when another contribution holds one of these records' addresses as well."""
        return any(len(self._pointers[_reverse(host.address)]) > 1 for host in records.hosts)

    def _pod_addresses(self, name: str) -> list[str]:
        """`10-244-1-5.default.pod.<domain>`: what it says, whether or not such a pod exists."""
        labels = name.removesuffix(f".pod.{self.domain}").split(".")
        if len(labels) != 2 or not name.endswith(f".pod.{self.domain}"):
            return []
        address = undashed(labels[0])
        return [address] if address else []

    def _contribute(self, records: ServiceRecords) -> None:
        for host in records.hosts:
            self._pointers.setdefault(_reverse(host.address), []).append(host.names[0])
            for name in host.names:
                self._addresses.setdefault(name, []).append(host.address)
        self._srv.update(records.srv)
        self._aliases.update(records.aliases)
        self._below.update(ancestor for name in records.names() for ancestor in self._line(name))

    def _withdraw(self, records: ServiceRecords) -> None:
        for host in records.hosts:
            _drop(self._pointers, _reverse(host.address), host.names[0])
            for name in host.names:
                _drop(self._addresses, name, host.address)
        for owner in records.srv:
            del self._srv[owner]
        for alias in records.aliases:
            del self._aliases[alias]
        for name in records.names():
            for ancestor in self._line(name):
                self._below[ancestor] -= 1
                if not self._below[ancestor]:
                    del self._below[ancestor]

    def _line(self, name: str) -> list[str]:
        """The name and its ancestors, as far up as the domain."""
        labels = name.removesuffix(f".{self.domain}").split(".")
        return [f"{'.'.join(labels[i:])}.{self.domain}" for i in range(len(labels))]


def _drop(index: dict[str, list[str]], key: str, value: str) -> None:
    index[key].remove(value)
    if not index[key]:
        del index[key]


def _reverse(address: str) -> str:
    if ":" not in address:  # in a record they are canonical
        return ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    return ipaddress.ip_address(address).reverse_pointer
