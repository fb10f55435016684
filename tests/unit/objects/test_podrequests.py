"""What a pod asks of its node."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.objects.podrequests import requests


def asking(cpu: str, **more: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [asking("100m"), asking("0.2")]}, 300),
        ({"containers": [asking("100m")], "initContainers": [asking("1"), asking("2")]}, 2000),
        (
            {
                "containers": [asking("1")],
                "initContainers": [asking("500m", restartPolicy="Always"), asking("700m")],
            },
            1500,
        ),
        (
            {
                "containers": [asking("1")],
                "initContainers": [asking("500m", restartPolicy="Always"), asking("2")],
            },
            2500,
        ),
        ({"containers": [asking("1")], "overhead": {"cpu": "250m"}}, 1250),
        ({"containers": [asking("1")], "resources": {"requests": {"cpu": "3"}}}, 3000),
        ({"containers": [asking("1u")]}, 1),
    ],
)
def test_the_most_that_is_asked_for_at_once_counts(spec, cpu):
    assert requests(spec) == {"cpu": cpu}


def test_who_asks_for_nothing_has_nothing_counted():
    assert requests({"containers": [{"name": "c", "resources": {}}]}) == {}
    assert requests({"containers": [asking("0")]}) == {}
