"""A Service's ipFamilyPolicy, ipFamilies and clusterIPs: filled in, or refused.

The rules and their wording are kube-apiserver's. In short: a policy is never changed by
implication; PreferDualStack takes what the cluster has, RequireDualStack insists.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from netlab.objects import sloppy
from netlab.objects.problems import FieldProblem, invalid
from netlab.objects.validate_service import is_headless

Spec = dict[str, Any]

_POLICY = ("spec", "ipFamilyPolicy")
_OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}


def family_of(address: str) -> str:
    """`IPv4` or `IPv6`."""
    return f"IPv{ipaddress.ip_address(sloppy.standard(address)).version}"


def fill(spec: Spec, old: Spec | None, configured: Sequence[str]) -> list[FieldProblem]:
    """Fill policy and families, in place; `configured` are the cluster's, the default first."""
    if old is not None and _is_settled(spec, old):
        return []
    if not spec.get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = _default_policy(spec, old)
    problems = _narrow(spec, old) if old is not None else []
    problems += _too_many(spec) or _infer(spec, configured)
    if problems:
        return problems
    if is_headless(spec) and not spec.get("selector"):
        _complete(spec, tuple(_OTHER), configured[0])
        return []
    problems = _not_configured(spec, configured)
    if not problems:
        _complete(spec, configured, configured[0])
    return problems


def _is_settled(spec: Spec, old: Spec) -> bool:
    """A PreferDualStack Service is not widened or narrowed by an update of something else."""
    fields = ("type", "ipFamilyPolicy", "clusterIPs", "ipFamilies")
    return spec.get("ipFamilyPolicy") == "PreferDualStack" and all(
        spec.get(field) == old.get(field) for field in fields
    )


def _default_policy(spec: Spec, old: Spec | None) -> str:
    if old is not None and old.get("ipFamilyPolicy"):
        return str(old["ipFamilyPolicy"])
    alone = is_headless(spec) and not spec.get("selector")
    return "RequireDualStack" if alone else "SingleStack"


def _narrow(spec: Spec, old: Spec) -> list[FieldProblem]:
    """SingleStack drops the second of what was left as it was; otherwise two stay two."""
    problems = []
    for field, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        now, before = spec.get(field) or [], old.get(field) or []
        if spec["ipFamilyPolicy"] == "SingleStack":
            if now == before and len(now) > 1:
                spec[field] = now[:1]
        elif now and len(now) < len(before):
            detail = f"must be 'SingleStack' to release the secondary {what}"
            problems.append(invalid(_POLICY, spec["ipFamilyPolicy"], detail))
    return problems


def _too_many(spec: Spec) -> list[FieldProblem]:
    if spec["ipFamilyPolicy"] != "SingleStack":
        return []
    rule = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
    return [
        invalid(_POLICY, "SingleStack", rule.format(what))
        for field, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families"))
        if len(spec.get(field) or []) > 1
    ]


def _infer(spec: Spec, configured: Sequence[str]) -> list[FieldProblem]:
    """The families that the given addresses belong to."""
    families = list(spec.get("ipFamilies") or [])
    problems = []
    for index, address in enumerate(spec.get("clusterIPs") or []):
        if address == "None":
            break
        family = family_of(address)
        path = ("spec", "clusterIPs", index)
        if index < len(families):
            if families[index] != family:
                detail = (
                    f"expected an {families[index]} value as indicated by `ipFamilies[{index}]`"
                )
                problems.append(invalid(path, address, detail))
        elif family in configured:
            families.append(family)
        else:
            detail = f"{family} is not configured on this cluster"
            problems.append(invalid(path, spec["clusterIPs"], detail))
    if families:
        spec["ipFamilies"] = families
    return problems


def _not_configured(spec: Spec, configured: Sequence[str]) -> list[FieldProblem]:
    problems = []
    if spec["ipFamilyPolicy"] == "RequireDualStack" and len(configured) < 2:
        detail = "this cluster is not configured for dual-stack services"
        problems.append(invalid(_POLICY, "RequireDualStack", detail))
    for index, family in enumerate(spec.get("ipFamilies") or []):
        if family not in configured:
            path = ("spec", "ipFamilies", index)
            problems.append(invalid(path, family, "not configured on this cluster"))
    return problems


def _complete(spec: Spec, available: Sequence[str], default: str) -> None:
    """The default family where none is given, and the other one for a dual-stack policy."""
    families = list(spec.get("ipFamilies") or [default])
    other = _OTHER[families[0]]
    if spec["ipFamilyPolicy"] != "SingleStack" and len(families) == 1 and other in available:
        families.append(other)
    spec["ipFamilies"] = families
