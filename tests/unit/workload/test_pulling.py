from __future__ import annotations

from typing import Any

import pytest

from netlab.workload.pulling import Refusal, refusal, whole

NOT_FOUND = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/WHAT": '
    'failed to resolve reference "docker.io/library/WHAT": docker.io/library/WHAT: not found'
)
HEXADECIMAL = "0123456789abcdef" * 4


def refused(image: str, **more: Any) -> Refusal | None:
    return refusal({"name": "c", "image": image, **more})


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "nginx:1.27",
        f"docker.io/library/nginx:1.27@sha256:{HEXADECIMAL}",
        "registry.example.com:5000/team/own_shop/web--x:V1.0_a",
        "localhost/web",
        "[fd00::1]:5000/web",
        "team/shop",
    ],
)
def test_what_is_no_mistake_can_be_had(image: str) -> None:
    assert refused(image) is None


@pytest.mark.parametrize("image", ["webserver:404", "foo:non-existent", "nginx:1.161"])
def test_a_tag_that_is_not_there_is_not_found(image: str) -> None:
    assert refused(image) == Refusal("ErrImagePull", NOT_FOUND.replace("WHAT", image))
    assert refused(f"docker.io/library/{image}") == refused(image)


def test_other_things_that_are_lacking_are_told_of_in_other_words() -> None:
    found = refused("invalid.registry.k8s.io/invalid/alpine:3.1")
    assert found is not None
    assert found.message.endswith(
        'Head "https://invalid.registry.k8s.io/v2/invalid/alpine/manifests/3.1": '
        "dial tcp: lookup invalid.registry.k8s.io: no such host"
    )
    found = refused("team/does-not-exist")
    assert found is not None
    assert "pull access denied, repository does not exist" in found.message
    assert refused("gcr.io/google_samples/gb-redisslave:nonexistent") is not None


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("Nginx", "invalid reference format: repository name (library/Nginx) must be lowercase"),
        ("nginx:", "invalid reference format"),
        ("nginx:a:b", "invalid reference format"),
        ("nginx@sha256:12", "invalid reference format"),
        ("-nginx", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("some/../where", "invalid reference format"),
        (
            HEXADECIMAL,
            f"invalid repository name ({HEXADECIMAL}), cannot specify 64-byte hexadecimal strings",
        ),
    ],
)
def test_what_is_no_reference_is_an_invalid_name(image: str, problem: str) -> None:
    assert refused(image) == Refusal(
        "InvalidImageName",
        f'Failed to apply default image tag "{image}": '
        f'couldn\'t parse image reference "{image}": {problem}',
    )


def test_who_never_pulls_has_it_or_not() -> None:
    assert refused("nginx", imagePullPolicy="Never") is None
    assert refused("webserver:404", imagePullPolicy="Never") == Refusal(
        "ErrImageNeverPull",
        'Container image "webserver:404" is not present with pull policy of Never',
    )


def test_references_are_written_out() -> None:
    assert whole("nginx") == "docker.io/library/nginx:latest"
    assert whole("team/shop:1") == "docker.io/team/shop:1"
    assert whole("registry.k8s.io/pause") == "registry.k8s.io/pause:latest"
