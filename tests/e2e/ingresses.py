"""What end-to-end tests of Ingresses share: a lab with a controller, asked from outside."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from e2e.kubectls import Shell
from e2e.labs import TOPOLOGIES, Done

NODE = "172.16.110.20"
HTTP, HTTPS = 30100, 30101


def controller() -> str:
    """The lab of the topology, and the controller; nothing that it would serve."""
    found = yaml.safe_load_all((TOPOLOGIES / "ingress.yaml").read_text())
    kept = [
        each
        for each in found
        if each["kind"] in ("Lab", "Namespace", "IngressClass", "ClusterRole", "ClusterRoleBinding")
        or each["metadata"].get("namespace") == "ingress-nginx"
    ]
    return yaml.safe_dump_all(kept)


def ingress(name: str, *rules: dict[str, Any], **annotations: str) -> str:
    """An Ingress of these annotations, `-` written as `_`."""
    prefix = "nginx.ingress.kubernetes.io"
    said = {f"{prefix}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    obj = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": said},
        "spec": {"rules": list(rules)},
    }
    return yaml.safe_dump(obj)


def rule(host: str, *paths: str, service: str = "echo", port: int | str = 80) -> dict[str, Any]:
    """All of these paths of a host lead to one Service. `/x` is a Prefix, `=/x` Exact, `~/x`
    ImplementationSpecific."""
    kinds = {"=": "Exact", "~": "ImplementationSpecific"}
    by = {"number": port} if isinstance(port, int) else {"name": port}
    backend = {"service": {"name": service, "port": by}}
    entries = [
        {"path": each.lstrip("=~"), "pathType": kinds.get(each[0], "Prefix"), "backend": backend}
        for each in paths
    ]
    return {"host": host, "http": {"paths": entries}}


@dataclass
class Outside:
    """Somebody on the external network, who knows no address but a node's."""

    shell: Shell

    def curl(self, url: str, *flags: str, port: int = HTTP) -> Done:
        """`curl` of `host/path`, by a node's port."""
        scheme = "https" if port == HTTPS else "http"
        host, slash, path = url.partition("/")
        argv = ["curl", "-sS", "--max-time", "10", "--connect-to", f"{host}:{port}:{NODE}:{port}"]
        target = f"{scheme}://{host}:{port}{slash}{path}"
        lab = self.shell.lab
        return self.shell.here.run_in(f"{lab}.client", *argv, *flags, target, check=False)

    def body(self, url: str, *flags: str, port: int = HTTP) -> str:
        """What it answers."""
        return self.curl(url, *flags, port=port).stdout

    def code(self, url: str, *flags: str, port: int = HTTP) -> int:
        """The status of its answer; 0 if there was none."""
        return int(
            self.curl(url, "-o", "/dev/null", "-w", "%{http_code}", *flags, port=port).stdout
        )

    def headers(self, url: str, *flags: str, port: int = HTTP) -> dict[str, str]:
        """The headers of its answer, in small letters; `status` has the line before them."""
        words = ("-o", "/dev/null", "-D", "-", *flags)
        first, *lines = self.curl(url, *words, port=port).stdout.splitlines()
        found = dict(line.split(": ", 1) for line in lines if ": " in line)
        return {"status": first, **{name.lower(): value for name, value in found.items()}}


def certificate(directory: Path, name: str, *hosts: str) -> Path:
    """`name.crt` and `name.key`, of its own authority, for these hosts."""
    names = ",".join(f"DNS:{host}" for host in hosts)
    words = ["openssl", "req", "-x509", "-batch", "-newkey", "ec", "-pkeyopt"]
    words += ["ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}"]
    words += ["-addext", f"subjectAltName={names}", "-keyout", f"{directory / name}.key"]
    subprocess.run([*words, "-out", f"{directory / name}.crt"], check=True, capture_output=True)
    return directory / f"{name}.crt"
