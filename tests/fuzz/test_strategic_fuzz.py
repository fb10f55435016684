"""Strategic merge against kubectl's own, which is the API server's: `kubectl patch --local`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from netlab.errors import BadRequest
from netlab.store.patch import patched

KUBECTL = Path(sys.prefix) / "kubectls" / "kubectl.1.33"
EXAMPLES = int(os.environ.get("NETLAB_FUZZ_EXAMPLES", "25"))

NAMES = st.sampled_from("abcde")
NUMBERS = st.sampled_from([53, 80, 443])
WORDS = st.lists(NAMES, max_size=4, unique=True)


def mapping(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(required, optional=optional)


def keyed(element: st.SearchStrategy[Any], key: str) -> st.SearchStrategy[Any]:
    return st.lists(element, max_size=4, unique_by=lambda item: item[key])


ENV = mapping({"name": NAMES}, {"value": NAMES})
# One number twice, by two protocols: the merge key alone tells them apart, so it does not.
PORTS = st.lists(
    mapping(
        {"containerPort": NUMBERS, "protocol": st.sampled_from(["TCP", "UDP"])}, {"name": NAMES}
    ),
    max_size=3,
)
CONTAINER = mapping(
    {"name": NAMES},
    {"image": NAMES, "args": WORDS, "env": keyed(ENV, "name"), "ports": PORTS},
)
VOLUME = st.one_of(
    mapping({"name": NAMES, "emptyDir": st.just({"medium": "Memory"})}, {}),
    mapping({"name": NAMES, "configMap": mapping({"name": NAMES}, {})}, {}),
)
ALIAS = mapping({"ip": st.sampled_from(["10.0.0.1", "10.0.0.2"])}, {"hostnames": WORDS})
SPEC = {
    "containers": keyed(CONTAINER, "name"),
    "volumes": keyed(VOLUME, "name"),
    "hostAliases": keyed(ALIAS, "ip"),
    "nodeSelector": st.dictionaries(NAMES, NAMES, max_size=3),
    "hostname": NAMES,
    "securityContext": mapping({}, {"runAsUser": NUMBERS, "fsGroup": NUMBERS}),
}


def pod(metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", **metadata}, "spec": spec}


PODS = st.builds(pod, mapping({}, {"finalizers": WORDS}), mapping({}, SPEC))


@st.composite
def patches(draw: st.DrawFn) -> dict[str, Any]:
    """A patch of a pod, with directives wherever they may stand."""
    spec = draw(mapping({}, {name: st.one_of(st.none(), part) for name, part in SPEC.items()}))
    for name in ("containers", "volumes"):
        _direct_list(draw, spec, name)
    for container in spec.get("containers") or []:
        _direct_list(draw, container, "env")
    for volume in spec.get("volumes") or []:
        if draw(st.booleans()):
            volume["$retainKeys"] = [key for key in volume if not key.startswith("$")]
    context = spec.get("securityContext")
    if context is not None and draw(st.booleans()):
        context["$patch"] = draw(st.sampled_from(["replace", "delete"]))
    metadata = draw(
        mapping(
            {},
            {
                "finalizers": WORDS,
                "$deleteFromPrimitiveList/finalizers": WORDS,
            },
        )
    )
    if len(metadata) == 2:  # which of them comes first, Go leaves to chance
        metadata.pop("finalizers")
    return {"metadata": metadata, "spec": spec}


def _direct_list(draw: st.DrawFn, parent: dict[str, Any], name: str) -> None:
    """Perhaps delete elements, replace the list, or order it."""
    elements = parent.get(name)
    if elements is None:
        return
    for index, element in enumerate(elements):
        if draw(st.integers(0, 4)) == 0:
            elements[index] = {"name": element["name"], "$patch": "delete"}
    if draw(st.integers(0, 5)) == 0:
        elements.append({"$patch": "replace"})
    elif draw(st.booleans()):
        kept = [one["name"] for one in elements if "$patch" not in one]
        others = draw(
            st.lists(NAMES.filter(lambda each: each not in kept), unique=True, max_size=2)
        )
        parent[f"$setElementOrder/{name}"] = [{"name": each} for each in [*kept, *others]]


def bare(value: Any) -> Any:
    """Without what is empty, of which Go's types make something or nothing."""
    if isinstance(value, dict):
        found = {key: bare(inner) for key, inner in value.items() if key != "$patch"}
        return {key: inner for key, inner in found.items() if inner not in (None, {}, [])}
    return [bare(inner) for inner in value] if isinstance(value, list) else value


def by_kubectl(obj: dict[str, Any], patch: dict[str, Any]) -> Any:
    argv = [str(KUBECTL), "patch", "--local", "-f", "-", "-p", json.dumps(patch), "-o", "json"]
    done = subprocess.run(argv, input=json.dumps(obj), capture_output=True, text=True)
    return bare(json.loads(done.stdout)) if done.returncode == 0 else done.stderr


def by_netlab(obj: dict[str, Any], patch: dict[str, Any]) -> Any:
    try:
        return bare(patched(obj, patch, "application/strategic-merge-patch+json"))
    except BadRequest as error:
        return str(error)


@pytest.mark.skipif(not KUBECTL.exists(), reason="no kubectl 1.33: scripts/kubectls")
@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate])  # each takes a process
@given(PODS, patches())
def test_merges_as_kubectl_does(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    ours, theirs = by_netlab(obj, patch), by_kubectl(obj, patch)
    if isinstance(theirs, str):
        assert isinstance(ours, str), f"kubectl refuses it: {theirs}"
    else:
        assert ours == theirs
