"""Addresses in forms that are no standard's: what they stand for, and what is said of them."""

import copy
from typing import Any

import pytest

from netlab.objects import sloppy, strategies, validation


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("10.96.0.1", "10.96.0.1"),
        ("010.96.000.001", "10.96.0.1"),
        ("00010.96.0.1", "10.96.0.1"),
        ("08.09.0.1", "8.9.0.1"),  # decimal, whatever C makes of it
        ("::ffff:10.96.0.1", "10.96.0.1"),
        ("::FFFF:a60:1", "10.96.0.1"),
        ("FD00:0::1", "FD00:0::1"),
        *((text, text) for text in (
            "", "None", "10.96.0.256", "010.96.0", "0x0a.96.0.1", "1.2.3.4.5", "fd00::1%eth0",
            "10.96.0.1/24", "\u0661.2.3.4", "." * 99,
        )),
    ],
)  # fmt: skip
def test_what_is_in_no_standard_form_is_put_into_one(text: str, standard: str) -> None:
    assert sloppy.standard(text) == standard


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("010.0.0.0/8", "10.0.0.0/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("FD00::/64", "FD00::/64"),
        ("010.0.0.0", "010.0.0.0"),
        ("nonsense/8", "nonsense/8"),
    ],
)
def test_so_are_ranges(text: str, standard: str) -> None:
    assert sloppy.standard_range(text) == standard


def service(**spec: Any) -> dict[str, Any]:
    whole = {"ports": [{"port": 80}], **spec}
    head = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "d"}}
    return {**head, "spec": whole}


LATER = "will be considered invalid in a future Kubernetes release: use"
RULE = "should be in RFC 5952 canonical format"


def test_a_service_s_addresses_are_stored_as_sent_and_warned_of() -> None:
    made = service(
        clusterIP="010.96.0.20", externalIPs=["::ffff:192.0.2.1", "FD00::1"],
        loadBalancerSourceRanges=["010.0.0.0/8", "FD00::/64"], type="LoadBalancer",
    )  # fmt: skip
    assert sloppy.warnings(made) == [
        f'spec.clusterIPs[0]: non-standard IP address "010.96.0.20" {LATER} "10.96.0.20"',
        f'spec.externalIPs[0]: non-standard IP address "::ffff:192.0.2.1" {LATER} "192.0.2.1"',
        f'spec.externalIPs[1]: IPv6 address "FD00::1" {RULE} ("fd00::1")',
        f'spec.loadBalancerSourceRanges[0]: non-standard CIDR value "010.0.0.0/8" {LATER} '
        '"10.0.0.0/8"',
        f'spec.loadBalancerSourceRanges[1]: IPv6 CIDR value "FD00::/64" {RULE} ("fd00::/64")',
    ]
    strategies.of(made).default(made)
    assert validation.validate(made) == []
    sent = copy.deepcopy(made)
    spec = sloppy.standardized(made)["spec"]
    assert (spec["clusterIP"], spec["externalIPs"]) == ("10.96.0.20", ["192.0.2.1", "FD00::1"])
    assert spec["loadBalancerSourceRanges"] == ["10.0.0.0/8", "FD00::/64"]
    assert made == sent
    assert made["spec"]["externalIPs"] == ["::ffff:192.0.2.1", "FD00::1"]


def test_what_is_in_standard_forms_is_not_copied() -> None:
    made = service(clusterIP="10.96.0.20", externalIPs=["192.0.2.1"])
    assert sloppy.standardized(made) is made


def test_endpoints_and_pods_are_read_in_standard_forms() -> None:
    slice_: dict[str, Any] = {
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": {"name": "s"},
        "addressType": "IPv4", "endpoints": [{"addresses": ["010.0.0.1"]}],
    }  # fmt: skip
    pod: dict[str, Any] = {
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "hostAliases": [{"ip": "010.0.0.1", "hostnames": ["a"]}],
            "dnsConfig": {"nameservers": ["010.96.0.10"]},
        },
    }  # fmt: skip
    for obj in (slice_, pod):
        assert sloppy.warnings(obj)
        strategies.of(obj).default(obj)
        assert validation.validate(obj) == []
    assert slice_["endpoints"][0]["addresses"] == ["010.0.0.1"]
    assert sloppy.standardized(slice_)["endpoints"][0]["addresses"] == ["10.0.0.1"]
    read = sloppy.standardized(pod)["spec"]
    assert read["dnsConfig"]["nameservers"] == ["10.96.0.10"]
    # Lines of /etc/hosts are text.
    assert read["hostAliases"][0]["ip"] == "010.0.0.1"


def test_of_a_range_that_means_one_address_both_are_told() -> None:
    made = service(loadBalancerSourceRanges=["10.1.2.3/8", "010.1.2.3/8", "FD00::1/64"])
    path = "spec.loadBalancerSourceRanges"
    ambiguous = "is ambiguous in this context"
    assert sloppy.warnings(made) == [
        f'{path}[0]: CIDR value "10.1.2.3/8" {ambiguous} (should be "10.0.0.0/8" or '
        '"10.1.2.3/32"?)',
        f'{path}[1]: CIDR value "010.1.2.3/8" {ambiguous} (should be "10.0.0.0/8" or '
        '"10.1.2.3/32"?)',
        f'{path}[1]: non-standard CIDR value "010.1.2.3/8" {LATER} "10.0.0.0/8"',
        f'{path}[2]: CIDR value "FD00::1/64" {ambiguous} (should be "fd00::/64" or "fd00::1/128"?)',
    ]


def test_addresses_in_templates_are_warned_of() -> None:
    spec = {
        "dnsConfig": {"nameservers": ["010.96.0.10"]},
        "hostAliases": [{"ip": "::ffff:10.0.0.1", "hostnames": ["a"]}],
    }
    templates = {
        "Pod": ("", {"spec": spec}),
        "Deployment": ("spec.template.", {"spec": {"template": {"spec": spec}}}),
        "ReplicationController": ("spec.template.", {"spec": {"template": {"spec": spec}}}),
        "CronJob": (
            "spec.jobTemplate.spec.template.",
            {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}},
        ),
    }
    for kind, (path, rest) in templates.items():
        found = sloppy.warnings({"kind": kind, **rest})
        assert found == [
            f'{path}spec.dnsConfig.nameservers[0]: non-standard IP address "010.96.0.10" {LATER} '
            '"10.96.0.10"',
            f'{path}spec.hostAliases[0].ip: non-standard IP address "::ffff:10.0.0.1" {LATER} '
            '"10.0.0.1"',
        ]


def test_what_controllers_make_is_not_warned_of() -> None:
    head = {"kind": "EndpointSlice", "endpoints": [{"addresses": ["010.0.0.1"]}]}
    assert sloppy.warnings({**head, "metadata": {"name": "s"}})
    labels = {"endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io"}
    assert sloppy.warnings({**head, "metadata": {"name": "s", "labels": labels}}) == []
    subsets = [{"addresses": [{"ip": "010.0.0.1"}]}]
    by = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    made = {"kind": "Endpoints", "metadata": {"name": "s", "labels": by}, "subsets": subsets}
    assert sloppy.warnings(made) == []
    assert sloppy.warnings({**made, "metadata": {"name": "s"}})


def test_a_status_is_warned_of_as_it_is_written() -> None:
    made = service()
    made["status"] = {"loadBalancer": {"ingress": [{"ip": "010.0.0.1"}]}}
    assert sloppy.warnings(made) == []
    assert sloppy.of_status(made) == [
        f'status.loadBalancer.ingress[0]: non-standard IP address "010.0.0.1" {LATER} "10.0.0.1"'
    ]
    pod = {
        "kind": "Pod",
        "status": {"podIPs": [{"ip": "010.0.0.1"}], "hostIPs": [{"ip": "10.0.0.1"}]},
    }
    assert sloppy.of_status(pod) == [
        f'status.podIPs[0].ip: non-standard IP address "010.0.0.1" {LATER} "10.0.0.1"'
    ]


@pytest.mark.parametrize("spec", [None, [], {"clusterIPs": {"a": 1}, "externalIPs": [1, None]}])
def test_nonsense_is_left_to_others(spec: Any) -> None:
    made = {"kind": "Service", "spec": spec}
    assert sloppy.standardized(made) == {"kind": "Service", "spec": spec}
    assert sloppy.warnings(made) == []
