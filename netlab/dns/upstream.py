"""The internet's name server, as far as a lab has one: a dnsmasq in the `internet` namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from netlab.dns.config import internet_arguments
from netlab.dns.dnsmasq import Dnsmasq
from netlab.kernel import userns


class InternetDns(Dnsmasq):
    """Answers every name with the internet's `addresses`, and `names` with those they are given.

    `directory` must be its own. It outlives the controller, as the cluster's dnsmasq does.
    """

    def __init__(
        self,
        directory: Path,
        owner: str,
        addresses: Sequence[str],
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        uid = userns.daemon_id(owner, userns.INTERNET_DNS)
        super().__init__(internet_arguments(addresses, names), directory, owner, uid)
