"""Each folder of tests/golden/proxy: objects beside the rules they must become, to the letter.

The expected texts were read back from a kernel (tests/kernel/test_proxy_appliers.py still does).
After a wanted change: NETLAB_UPDATE_GOLDEN=1 pytest tests/unit/proxy/test_proxy_golden.py
"""

import os
from pathlib import Path

import pytest
import yaml

from netlab.proxy.compile import compile
from netlab.proxy.config import from_mapping
from netlab.proxy.parse import parse
from netlab.proxy.render import render

GOLDEN = Path(__file__).parents[2] / "golden" / "proxy"


def compiled(case, family):
    objects = [obj for obj in yaml.safe_load_all((case / "objects.yaml").read_text()) if obj]
    config = from_mapping(yaml.safe_load((case / "proxy.yaml").read_text()))
    by_kind = {kind: [o for o in objects if o["kind"] == kind] for kind in ("Node", "Service")}
    slices = [obj for obj in objects if obj["kind"] == "EndpointSlice"]
    node = next(iter(by_kind["Node"]), None)
    return compile(by_kind["Service"], slices, node, config, family)


@pytest.mark.parametrize("family, extension", [("ipv4", "v4"), ("ipv6", "v6")])
@pytest.mark.parametrize("case", sorted(GOLDEN.iterdir()), ids=lambda case: case.name)
def test_objects_become_exactly_these_rules(case, family, extension):
    ruleset = compiled(case, family)
    expected = case / f"expected.{extension}"
    if os.environ.get("NETLAB_UPDATE_GOLDEN"):
        expected.write_text(render(ruleset))
    assert render(ruleset) == expected.read_text()
    assert parse(expected.read_text()) == ruleset
