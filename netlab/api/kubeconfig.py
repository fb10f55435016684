"""The kubeconfig of a lab: one cluster, one user, one context. Pure, but for `write`."""

from __future__ import annotations

import base64
import contextlib
import os
from pathlib import Path

from netlab.api.identity import Identity

_TEXT = """\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: https://127.0.0.1:{port}
    certificate-authority-data: {authority}
users:
- name: {name}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {name}
  context: {{cluster: {name}, user: {name}}}
current-context: {name}
preferences: {{}}
"""


def render(lab: str, port: int, identity: Identity) -> str:
    """The kubeconfig's text; cluster, user and context are called `netlab-<lab>`."""
    return _TEXT.format(
        name=f"netlab-{lab}",
        port=port,
        authority=_data(identity.authority),
        certificate=_data(identity.certificate("client")),
        key=_data(identity.key("client")),
    )


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def write(path: Path, text: str, owner: int) -> None:
    """Put the kubeconfig where its readers find it: 0600, `owner`'s, never half-written."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        with contextlib.suppress(OSError):  # no such user in a user namespace
            os.fchown(descriptor, owner, -1)
    draft.rename(path)


def invoking_user() -> int:
    """The uid of who ran sudo; our own without sudo."""
    uid = os.environ.get("SUDO_UID", "")
    return int(uid) if uid.isdigit() else os.getuid()
