"""What an API server makes of Jobs, CronJobs and webhooks, and what it refuses of them."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.errors import ApiError, Invalid
from netlab.objects import indexes, validate_admission
from netlab.objects.lab import lab_from_object
from netlab.objects.validation import validate
from netlab.store.registry import Registry
from netlab.store.store import Store


def template(**spec):
    return {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "b"}], **spec}}


def job(name="pi", **spec):
    metadata = {"name": name, "namespace": "default"}
    spec = {"template": template(), **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def cron_job(name="nightly", job_spec=None, **spec):
    below = {"spec": {"template": template(), **(job_spec or {})}}
    spec = {"schedule": "@daily", "jobTemplate": below, **spec}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


def webhooks(kind="ValidatingWebhookConfiguration", **fields):
    webhook = {
        "name": "check.gate.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"service": {"name": "gate", "namespace": "default"}},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}
        ],
        **fields,
    }
    api_version = "admissionregistration.k8s.io/v1"
    metadata = {"name": "gate"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "webhooks": [webhook]}


@pytest.fixture
def registry():
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "t"}, "spec": {}}
    lab["spec"]["nodes"] = [{"name": "n1"}]
    registry = Registry(Store(None), lab_from_object(lab))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    registry.create(namespace)
    return registry


def refusal(registry, obj):
    with pytest.raises(ApiError) as caught:
        registry.create(obj)
    return caught.value.message


def change(registry, obj, spec):
    metadata = obj["metadata"]
    return registry.patch(obj["kind"], metadata["namespace"], metadata["name"], {"spec": spec})


def test_a_job_knows_its_pods_by_labels_of_its_own(registry):
    made = registry.create(job())
    uid = made["metadata"]["uid"]
    labels = {
        "controller-uid": uid, "job-name": "pi",
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "pi",
    }  # fmt: skip
    assert made["metadata"]["labels"] == made["spec"]["template"]["metadata"]["labels"] == labels
    assert made["spec"].pop("selector") == {
        "matchLabels": {"batch.kubernetes.io/controller-uid": uid}
    }
    del made["spec"]["template"]
    assert made["spec"] == {
        "completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed",
        "suspend": False, "manualSelector": False, "podReplacementPolicy": "TerminatingOrFailed",
    }  # fmt: skip


def test_a_job_may_bring_a_selector(registry):
    own = template()
    own["metadata"] = {"labels": {"a": "b"}}
    selector = {"matchLabels": {"a": "b"}}
    made = registry.create(job(manualSelector=True, selector=selector, template=own))
    assert (made["spec"]["selector"], made["metadata"]["labels"]) == (selector, {"a": "b"})
    assert "spec.selector: Invalid value" in refusal(registry, job("other", selector=selector))
    none = refusal(registry, job("none", manualSelector=True))
    assert "spec.selector: Required value" in none


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"template": template(restartPolicy="Always")},
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        ({"completions": -1}, "spec.completions: Invalid value: -1: must be greater than or equal"),
        ({"backoffLimit": -1}, "spec.backoffLimit: Invalid value: -1"),
        ({"completionMode": "Some"}, 'spec.completionMode: Unsupported value: "Some"'),
        (
            {"completionMode": "Indexed", "parallelism": 2},
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        (
            {"completionMode": "Indexed", "completions": 2**31 - 1},
            "spec.completions: Invalid value: 2147483647: must be less than or equal to 100000",
        ),
        (
            {"backoffLimitPerIndex": 1},
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            {"completionMode": "Indexed", "completions": 3, "maxFailedIndexes": 1},
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        ),
        (
            {
                "completionMode": "Indexed", "completions": 3,
                "successPolicy": {"rules": [{"succeededIndexes": "0,5"}]},
            },
            'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0,5": error parsing '
            'succeededIndexes: too large index: "5"',
        ),
        (
            {"podFailurePolicy": {"rules": [{"action": "FailJob"}]}},
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and "
            "OnPodConditions is required",
        ),
        (
            {
                "podFailurePolicy": {
                    "rules": [
                        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3, 0]}}
                    ]
                },
                "template": template(restartPolicy="OnFailure"),
            },
            "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 "
            "for the In operator",
        ),
    ],
)  # fmt: skip
def test_a_job_that_is_refused(registry, spec, words):
    assert words in refusal(registry, job(**spec))


def test_an_index_is_part_of_a_host_s_name(registry):
    long = job("a" * 61, completionMode="Indexed", completions=11)
    assert "will not able to create pod with invalid DNS label" in refusal(registry, long)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"completions": 5}, "spec.completions"),
        ({"template": template(hostNetwork=True)}, "spec.template"),
        ({"completionMode": "Indexed"}, "spec.completionMode"),
        ({"managedBy": "acme.example/controller"}, "spec.managedBy"),
    ],
)
def test_what_of_a_job_is_immutable(registry, spec, field):
    obj = registry.create(job())
    with pytest.raises(Invalid, match="field is immutable") as caught:
        change(registry, obj, spec)
    assert field in caught.value.message


def test_what_of_a_job_may_change(registry):
    obj = registry.create(job())
    spec = {"parallelism": 3, "suspend": True, "backoffLimit": 1, "activeDeadlineSeconds": 9}
    assert change(registry, obj, spec)["spec"].items() >= spec.items()


def test_a_job_that_never_began_may_go_elsewhere(registry):
    placed = {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}
    resting = registry.create(job(suspend=True))
    assert change(registry, resting, placed)["metadata"]["generation"] == 2
    begun = registry.create(job("begun"))
    with pytest.raises(Invalid, match=r"spec\.template: Invalid value"):
        change(registry, begun, placed)


def test_completions_of_an_indexed_job_change_with_its_parallelism(registry):
    obj = registry.create(job(completionMode="Indexed", completions=3, parallelism=3))
    with pytest.raises(Invalid, match=r"can only be modified in tandem with spec\.parallelism"):
        change(registry, obj, {"completions": 5})
    assert change(registry, obj, {"completions": 5, "parallelism": 5})


def test_a_file_s_job_needs_no_selector():
    assert validate(job()) == []


def test_a_cron_job_is_filled(registry):
    made = registry.create(cron_job())["spec"]
    below = made.pop("jobTemplate")["spec"]
    assert made == {
        "schedule": "@daily", "concurrencyPolicy": "Allow", "suspend": False,
        "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
    }  # fmt: skip
    assert below.keys() == {"template"}  # the rest is filled in when a Job is made of it
    assert below["template"]["spec"]["dnsPolicy"] == "ClusterFirst"


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (cron_job(schedule="* * * *"), "expected exactly 5 fields, found 4: [* * * *]"),
        (cron_job(schedule="TZ=UTC * * * * *"), "cannot use TZ or CRON_TZ in schedule"),
        (cron_job(schedule=""), "spec.schedule: Required value"),
        (cron_job(timeZone="Europe/Atlantis"), "unknown time zone Europe/Atlantis"),
        (cron_job(timeZone="Local"), "must be an explicit time zone"),
        (cron_job(concurrencyPolicy="Maybe"), 'spec.concurrencyPolicy: Unsupported value: "Maybe"'),
        (cron_job("a" * 53), "must be no more than 52 characters"),
        (
            cron_job(job_spec={"template": template(restartPolicy="Always")}),
            "spec.jobTemplate.spec.template.spec.restartPolicy: Required value",
        ),
        (
            cron_job(job_spec={"selector": {"matchLabels": {"a": "b"}}}),
            "`selector` will be auto-generated",
        ),
    ],
)
def test_a_cron_job_that_is_refused(registry, obj, words):
    assert words in refusal(registry, obj)


def test_webhooks_are_filled(registry):
    (made,) = registry.create(webhooks("MutatingWebhookConfiguration"))["webhooks"]
    assert made["clientConfig"]["service"]["port"] == 443
    assert made["rules"][0]["scope"] == "*"
    wanted = {
        "failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10,
        "namespaceSelector": {}, "objectSelector": {}, "reinvocationPolicy": "Never",
    }  # fmt: skip
    assert made.items() >= wanted.items()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "gate"}, "should be a domain with at least three segments separated by dots"),
        ({"sideEffects": "Some"}, 'webhooks[0].sideEffects: Unsupported value: "Some"'),
        ({"sideEffects": None}, "webhooks[0].sideEffects: Required value"),
        ({"timeoutSeconds": 31}, "the timeout value must be between 1 and 30 seconds"),
        ({"clientConfig": {}}, "exactly one of url or service is required"),
        ({"clientConfig": {"url": "http://x"}}, "'https' is the only allowed URL scheme"),
        ({"admissionReviewVersions": ["v9"]}, "must include at least one of v1, v1beta1"),
        ({"rules": [{"operations": ["*", "CREATE"]}]}, "must not specify other operations"),
    ],
)
def test_webhooks_that_are_refused(registry, fields, words):
    assert words in refusal(registry, webhooks(**fields))


def test_whoever_stores_webhooks_is_told_that_nobody_calls_them():
    one = webhooks()
    two = deepcopy(webhooks("MutatingWebhookConfiguration"))
    two["webhooks"] *= 2
    assert validate_admission.warnings(one) == [
        'webhook "check.gate.example.com": stored, but a lab calls no admission webhook, so it '
        "refuses nothing"
    ]
    assert validate_admission.warnings(two)[0].endswith("so they change nothing")
    assert validate_admission.warnings(webhooks() | {"webhooks": []}) == []
    assert validate_admission.warnings(job()) == []


@given(st.sets(st.integers(0, 200)))
def test_indexes_are_read_as_they_are_written(found):
    assert (
        indexes.parse(indexes.render(found), 201)
        == found
        == indexes.known(indexes.render(found), 201)
    )


def test_indexes_are_written_as_upstream_writes_them():
    assert indexes.render([7, 0, 1, 3, 4, 5]) == "0,1,3-5,7"
    assert indexes.known("0,x,3-,9-8,2-4,999", 10) == {0, 2, 3, 4}
