"""Names that lead nowhere: another namespace's, or none that anybody knows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from netlab.diagnosis.facts import Cause, Facts, listed
from netlab.diagnosis.remedies import remedy
from netlab.diagnosis.service import causes
from netlab.objects import meta
from netlab.objects.problems import did_you_mean
from netlab.objects.types import Service

_KUBE_DNS = "kube-system/kube-dns"
_OF_SERVER = "the DNS server"
_PROCESS = re.compile(r"\(process (\d+)\)")


def unresolved(
    problem: str, service: Service, facts: Facts, silent: Sequence[str], *, reached: bool
) -> Iterator[Cause]:
    """Why the name of a Service that is there could not be looked up. `silent` has a line for each
    process of the lab's that answers nobody; `reached` says that the Service's address answers."""
    if _OF_SERVER not in problem:
        return
    of_names = [line for line in silent if "dnsmasq" in line or "names" in line]
    kube_dns = next((one for one in facts.services if meta.key(one) == _KUBE_DNS), None)
    found = causes(kube_dns, facts) if kube_dns is not None else ()
    if found:
        why, mended = (
            f"{_KUBE_DNS}: {found[0].message}",
            remedy(found[0], "kube-dns", "kube-system"),
        )
    elif of_names:
        pids = [pid for line in of_names for pid in _PROCESS.findall(line)]
        why, mended = "; ".join(of_names), f"sudo kill -CONT {' '.join(pids)}" if pids else ""
    elif reached:
        why, mended = problem, "netlab status    # tells who stands still"
    else:
        return
    but = f" (svc/{meta.name(service)} itself does, at its address)" if reached else ""
    yield Cause("NoNameServer", f"no DNS server answers{but}: {why}", remedy=mended)


def no_such_service(name: str, space: str, services: Sequence[Service]) -> Cause | None:
    """For `name.space`, which no Service has: where it is, or what is meant; None where nothing is
    near."""
    known = [(meta.namespace(one), meta.name(one)) for one in services]
    elsewhere = sorted(each for each, found in known if found == name)
    near = did_you_mean(name, [found for each, found in known if each == space])
    if elsewhere:
        hint = f"one is in namespace {listed(elsewhere)}"
        mended = f"sudo netlab why {name}.{elsewhere[0]}    # this is its name"
    elif near:
        hint, mended = f"nearest: {near}", f"sudo netlab why {near}.{space}    # this is its name"
    else:
        return None
    return Cause(
        "NoSuchService",
        f"there is no Service {name} in namespace {space} ({hint})",
        remedy=mended,
    )
