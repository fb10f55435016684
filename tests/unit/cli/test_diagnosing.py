"""What a running lab tells of its Services, and how wide that is said."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.cli import diagnosing
from netlab.diagnosis.facts import Cause, ListeningSocket
from netlab.objects.lab import lab_from_object

CAUSE = Cause(
    "PodsUnscheduled",
    "1 pod matches, not scheduled: 0/3 nodes are available: 1 node(s) had untolerated taint "
    "{node-role.kubernetes.io/control-plane: }, 2 node(s) didn't match Pod's node affinity.",
)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_fit_and_words_stay_whole(width: int) -> None:
    lines = list(diagnosing.why([CAUSE], width))
    assert max(map(len, lines)) <= max(width, 50)  # a label's name is a word
    assert lines[0].startswith("  why: 1 pod matches")
    assert all(line.startswith("       ") for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == f"why: {CAUSE}"


def test_without_a_terminal_each_is_one_line() -> None:
    assert list(diagnosing.why([CAUSE, CAUSE], None)) == [f"  why: {CAUSE}"] * 2


def pod(**container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "image": "nginx", **container}]}}


HELLO = "gcr.io/google-samples/hello-app:1.0"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.47"


@pytest.mark.parametrize(
    ("container", "found"),
    [
        ({}, [ListeningSocket("TCP", 80)]),
        ({"image": "registry.k8s.io/pause:3.9"}, []),
        ({"command": ["sleep", "1"]}, None),
        ({"image": HELLO}, [ListeningSocket("TCP", 8080)]),
        ({"image": HELLO, "env": [{"name": "PORT", "value": "82"}]}, [ListeningSocket("TCP", 82)]),
        ({"image": "hashicorp/http-echo", "args": ["-listen=:$(P)"],
          "env": [{"name": "P", "value": "83"}]}, [ListeningSocket("TCP", 83)]),
        ({"volumeMounts": [{"name": "v", "mountPath": "/usr/share/nginx/html"}]},
         [ListeningSocket("TCP", 80)]),
        ({"image": AGNHOST, "args": ["netexec"]}, None),
        ({"env": [{"name": "P", "valueFrom": {}}], "envFrom": [{"configMapRef": {}}]}, None),
    ],
)  # fmt: skip
def test_what_built_in_programs_listen_on(container: Any, found: Any) -> None:
    assert diagnosing._built_in(pod(**container)) == found


def test_addresses_of_node_ports_where_the_lab_leaves_some_out() -> None:
    def addresses(**proxy: Any) -> dict[str, tuple[str, ...]]:
        spec = {"nodes": 1, **({"proxy": proxy} if proxy else {})}
        obj = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "l"}, "spec": spec}
        return diagnosing._node_port_addresses(lab_from_object(obj))

    assert addresses() == {}
    [only] = addresses(nodePortAddresses=["10.10.11.0/24"]).values()
    assert only == ("10.10.11.10",)
