"""The commands of a dry run, for labs kept in tests/golden/network/<feature>/.

To accept what is printed now: NETLAB_UPDATE_GOLDEN=1 pytest tests/unit/network
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from netlab.network import plan
from netlab.network.diff import diff
from netlab.network.pod_diff import attach
from netlab.objects.lab import lab_from_object

GOLDEN = Path(__file__).parents[2] / "golden" / "network"


@pytest.mark.parametrize("feature", sorted(entry.name for entry in GOLDEN.iterdir()))
def test_commands(feature):
    lab = lab_from_object(yaml.safe_load((GOLDEN / feature / "lab.yaml").read_text()))
    worker = lab.nodes[-1]
    ips = [plan.address_at(cidr, 2) for cidr in worker.pod_cidrs]
    pod = plan.pod_link(lab, worker, "default", "web", "00000000-0000-4000-8000-000000000001", ips)
    operations = (*diff(plan.cluster(lab), {}), *attach(pod))
    commands = "".join(f"{operation.describe()}\n" for operation in operations)
    golden = GOLDEN / feature / "commands"
    if os.environ.get("NETLAB_UPDATE_GOLDEN"):
        golden.write_text(commands)
    assert commands == golden.read_text()
