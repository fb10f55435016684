"""The kubeconfig of a lab: one cluster, one user, one context."""

from __future__ import annotations

import base64
from pathlib import Path

from netlab.api.identity import Identity

_TEXT = """\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
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


def render(lab: str, server: str, identity: Identity) -> str:
    """The kubeconfig's text for the API at a URL; all in it is called `netlab-<lab>`."""
    return _TEXT.format(
        name=f"netlab-{lab}",
        server=server,
        authority=_data(identity.authority),
        certificate=_data(identity.certificate("client")),
        key=_data(identity.key("client")),
    )


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
