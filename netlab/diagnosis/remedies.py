"""What to do about a cause: the command that shows what is wrong, or mends it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.diagnosis.facts import Cause
from netlab.diagnosis.service import PROXY_NAME

_OF_SERVICE = "netlab describe svc {name}{space}"
_EDIT = "netlab edit svc {name}{space}"

_REMEDIES: Mapping[str, str] = {
    "ClusterIPFromOutside": _EDIT + "    # spec.type: NodePort",
    "ConnectionRefused": _EDIT + "    # targetPort, or the program's own port",
    "ExternalNameIsAddress": _EDIT + "    # spec.externalName",
    "LeftToAnotherProxy": "netlab label svc {name}{space} " + PROXY_NAME + "-",
    "NoAddressOfFamily": _EDIT + "    # spec.ipFamilies",
    "NoLocalEndpoint": _EDIT + "    # the traffic policy, or a pod on each node",
    "NoPodMatches": _EDIT + "    # spec.selector",
    "NoPodYet": "netlab get deploy,rs,ds,sts,pods{space}",
    "NoPortOfName": _EDIT + "    # targetPort",
    "NoSuchPort": "netlab get svc {name}{space}    # its ports",
    "NobodyListens": _EDIT + "    # targetPort, or the program's own port",
    "NodeOff": "netlab node start NODE",
    "RulesOfOthers": "netlab rules svc/{name}{space}    # and the table that has the other rule",
    "SourceRefused": _EDIT + "    # spec.loadBalancerSourceRanges",
}


def remedy(cause: Cause, name: str, namespace: str) -> str:
    """A command line for it, about the Service of that name."""
    space = "" if namespace == "default" else f" -n {namespace}"
    if cause.pods and cause.reason not in _REMEDIES:
        return f"netlab describe pod {cause.pods[0]}{space}"
    return _REMEDIES.get(cause.reason, _OF_SERVICE).format(name=name, space=space)
