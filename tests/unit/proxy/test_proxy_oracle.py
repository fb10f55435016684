"""What a real kube-proxy programmed for the recorded worlds, beside what is compiled for them.

The recordings are not part of the project: without them these tests are skipped, and say so.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from netlab.proxy.compile import compile
from netlab.proxy.config import from_mapping
from netlab.proxy.diff import diff
from netlab.proxy.parse import parse
from netlab.proxy.render import render

ORACLE = Path(__file__).parents[4] / "shared" / "oracle"
CASES = sorted((ORACLE / "visible").iterdir()) if ORACLE.is_dir() else []

pytestmark = pytest.mark.skipif(not CASES, reason=f"no recordings in {ORACLE}")


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


def compiled(case, family):
    text = (case / "objects.yaml").read_text()
    objects = [obj for obj in yaml.load_all(text, Loader=yaml.CSafeLoader) if obj]
    config = from_mapping(yaml.safe_load((case / "proxy.yaml").read_text()))
    nodes = [obj for obj in objects if obj["kind"] == "Node"]
    node = next(obj for obj in nodes if obj["metadata"]["name"] == config.node_name)
    services = [obj for obj in objects if obj["kind"] == "Service"]
    slices = [obj for obj in objects if obj["kind"] == "EndpointSlice"]
    return compile(services, slices, node, config, family)


@pytest.mark.parametrize("family, extension", [("ipv4", "v4"), ("ipv6", "v6")])
def test_the_rules_are_kube_proxys(case, family, extension, tmp_path):
    expected = case / f"expected.{extension}"
    ours = tmp_path / "compiled"
    ours.write_text(render(compiled(case, family)))
    command = [sys.executable, str(ORACLE / "compare.py"), "--ignore-nfacct", ours, expected]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("family, extension", [("ipv4", "v4"), ("ipv6", "v6")])
def test_our_own_comparison_finds_no_difference_either(case, family, extension):
    found = parse((case / f"expected.{extension}").read_text())
    assert diff(compiled(case, family), found) == []
