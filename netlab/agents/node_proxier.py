"""The settings and appliers of the lab's proxies, from the Lab object."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from netlab.kernel import paths
from netlab.kernel.notices import Notices, of_rules
from netlab.network import apply, plan
from netlab.objects.lab import Lab, Node
from netlab.portmap import mappings
from netlab.proxy import modes
from netlab.proxy.addresses import Family
from netlab.proxy.appliers import AnyApplier
from netlab.proxy.config import ProxyConfig

# Most labs' mode, imported while a controller has not yet heard of a lab.
from netlab.proxy.iptables import apply as _apply  # noqa: F401
from netlab.proxy.iptables import mode as _mode  # noqa: F401
from netlab.proxy.other_rules import OwnedRules
from netlab.proxy.sharing import Compiled
from netlab.proxy.syncer import Proxier


def proxy_config(lab: Lab, node: Node) -> ProxyConfig:
    """kube-proxy's settings for one node of the lab."""
    return ProxyConfig(
        mode=lab.proxy_mode,
        node_name=node.name,
        node_ips=node.internal_ips,
        interface_addresses={
            **{link.name: link.addresses for link in plan.alone(lab, node).namespaces[0].links},
            "lo": ("127.0.0.1/8", "::1/128"),  # the kernel's doing, so in no plan
        },
        cluster_cidr=lab.pod_cidrs,
        service_cidrs=lab.service_cidrs,
        masquerade_all=lab.proxy.masquerade_all,
        localhost_node_ports=lab.proxy.localhost_node_ports,
        node_port_addresses=lab.proxy.node_port_addresses or _node_port_addresses(lab),
    )


def _node_port_addresses(lab: Lab) -> tuple[str, ...]:
    """Where nodePorts answer unless the lab says: on the nodes' addresses of both networks.

    kube-proxy's own default is every address in iptables mode, but in nftables mode the primary one
    alone, which nobody outside could reach here.
    """
    return () if lab.proxy_mode == "iptables" else (*lab.node_network, *lab.external.cidrs)


class NodeProxier(Proxier):
    """A node's proxier, which also keeps what leaves the cluster masqueraded."""

    def __init__(
        self, lab: Lab, node: Node, directory: Path, compiled: Compiled | None = None
    ) -> None:
        self._where = _netns(lab, node, directory)
        self._appliers = partial(_appliers, lab, node, directory)
        appliers = self._appliers()
        masquerading = _Masquerading(lab, node, directory)
        super().__init__(
            proxy_config(lab, node),
            appliers,
            netns=self._where,
            others=[masquerading],
            compiled=compiled,
        )
        self._is_legacy = any(getattr(each, "variant", "") == "legacy" for each in appliers)

    def owned(self, owner: str, follows: frozenset[str] = frozenset()) -> OwnedRules:
        """The node's rules of somebody else, written as and when kube-proxy's are. In iptables mode
        the names of his chains begin with `owner`, and he comes before kube-proxy except in the
        built-in chains that he `follows`; in nftables mode his table is called so."""
        rules = OwnedRules(self._appliers(owner=owner, follows=follows))
        self.add(rules)
        return rules

    def notices(self) -> Notices | None:
        """What hears that somebody wrote rules; None for legacy tables, of which nobody tells."""
        return None if self._is_legacy else of_rules(self._where)


class _Masquerading:
    """`OtherRules`: the rule that a node's network has from the start, and a flush takes along."""

    def __init__(self, lab: Lab, node: Node, directory: Path) -> None:
        self._network = plan.alone(lab, node)
        self._name = plan.node_name(lab, node.name)
        self._directory = directory

    def sync(self) -> None:
        """It never changes."""

    def repair(self) -> bool:
        """As the protocol says."""
        return apply.ensure_masquerades(self._network, self._name, self._directory)


def _netns(lab: Lab, node: Node, directory: Path) -> Path:
    return paths.namespace(directory, plan.node_name(lab, node.name))


def withdraw(lab: Lab, node: Node, directory: Path) -> None:
    """Take away what the lab's mode has written in a node, before another one begins there."""
    host_ports = mappings.owner(lab.proxy_mode)
    for owner in ("", host_ports):
        for applier in _appliers(lab, node, directory, owner=owner):
            applier.clear()
    apply.withdraw_masquerades(plan.alone(lab, node), directory)


def _appliers(
    lab: Lab,
    node: Node,
    directory: Path,
    *,
    owner: str = "",
    follows: frozenset[str] = frozenset(),
) -> list[AnyApplier]:
    families: list[Family] = ["ipv4" if family == "IPv4" else "ipv6" for family in lab.ip_families]
    mode, netns = modes.of(lab.proxy_mode), _netns(lab, node, directory)
    return [
        mode.applier(lab.iptables, family, netns, owner=owner, follows=follows)
        for family in families
    ]
