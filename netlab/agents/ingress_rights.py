"""What an Ingress controller's account may see and do: the real one asks the API with its token.

At its start it looks for what its flags name, and ends when that is not there for it. Then it lists
what it goes by, and serves nothing until it may see all of that; what it saw once, it keeps. Its
log says what it was refused.

Source: cmd/nginx/main.go, internal/k8s/main.go, internal/ingress/controller/store/store.go and
internal/ingress/status/status.go of ingress-nginx; client-go's reflector and leader election.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from netlab.agents.account_api import AccountApi
from netlab.ingress.options import Options
from netlab.kernel import files

TOKEN_PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"

WATCHED = ("EndpointSlice", "Service", "Secret", "ConfigMap", "Ingress")
"""What a controller lists before it serves anything."""

_RESTRICTIVE = (
    "✖ the cluster seems to be running with a restrictive Authorization mode and the Ingress "
    "controller does not have the required permissions to operate normally"
)
_NO_TOKEN = (
    "Error while initiating a connection to the Kubernetes API server. This could mean the cluster "
    "is misconfigured (e.g. it has invalid API server certificates or Service Accounts "
    f"configuration). Reason: open {TOKEN_PLACE}/token: no such file or directory"
)

IsThere = Callable[[str, str], bool]
"""Whether there is an object of that kind and key."""


class Rights:
    """Of one controller, in the pod `name` of a namespace."""

    def __init__(self, account: AccountApi, options: Options, namespace: str, name: str) -> None:
        self._account = self.account = account
        self._options = options
        self._namespace, self._name = namespace, name

    def refusals(
        self, environment: Mapping[str, str], is_there: IsThere, *, has_token: bool
    ) -> Iterator[str]:
        """With what words it would end right after its start, the first of them first."""
        options = self._options
        if not has_token:
            yield _NO_TOKEN
        for key in filter(None, (options.default_backend, options.publish_service)):
            yield from self._of_service(key, is_there)
        if space := options.namespace:
            text = self._account.denial("get", "Namespace", namespace=space, name=space)
            if not text and not is_there("Namespace", space):
                text = f'namespaces "{space}" not found'
            if text:
                yield f"No namespace with name {space} found: {text}"
        unknown = "Unexpected error obtaining ingress-nginx pod: unable to get POD information"
        if not (environment.get("POD_NAME") and environment.get("POD_NAMESPACE")):
            yield f"{unknown} (missing POD_NAME or POD_NAMESPACE environment variable"
        elif text := self._account.denial("get", "Pod", namespace=self._namespace, name=self._name):
            yield f"{unknown}: {text}"

    def _of_service(self, key: str, is_there: IsThere) -> Iterator[str]:
        space, _, name = key.partition("/")
        if self._account.denial("get", "Service", namespace=space, name=name):
            yield _RESTRICTIVE
        elif not is_there("Service", key):
            yield (
                f"no service with name {name} found in namespace {space}: "
                f'services "{name}" not found'
            )

    def unseen(self) -> list[str]:
        """What it may not list of what it goes by, a line for each kind."""
        denials = {
            kind: self._account.denial("list", kind, namespace=self._options.namespace)
            for kind in WATCHED
        }
        if not self._options.namespace_selector.is_everything:
            denials["Namespace"] = self._account.denial("list", "Namespace")
        return [f"failed to list *v1.{kind}: {text}" for kind, text in denials.items() if text]

    def without_classes(self) -> str:
        """Why it knows of no IngressClass; "" if it may list them."""
        text = self._account.denial("list", "IngressClass")
        said = "No permissions to list and get Ingress Classes"
        return f"{said}: {text}, IngressClass feature will be disabled" if text else ""

    def without_settings(self) -> str:
        """Why it goes by no ConfigMap; "" if it may get the one that its flags name."""
        space, _, name = self._options.configmap.partition("/")
        text = self._account.denial("get", "ConfigMap", namespace=space, name=name) if name else ""
        return f"Unexpected error reading configuration configmap: {text}" if text else ""

    def without_events(self, namespace: str) -> str:
        """Why it records no Event in a namespace; "" if it may."""
        text = self._account.denial("create", "Event", namespace=namespace)
        return f"Server rejected event (will not retry!): {text}" if text else ""

    def without_status_of(self, namespace: str) -> str:
        """Why it writes no status of a namespace's Ingresses; "" if it may."""
        text = self._account.denial("update", "Ingress", namespace=namespace, subresource="status")
        return f"error updating ingress rule: {text}" if text else ""

    def without_address(self) -> str:
        """Why it does not know where it can be reached; "" if it may see that."""
        options = self._options
        if options.publish_addresses:
            return ""
        if options.publish_service:
            space, _, name = options.publish_service.partition("/")
            return self._account.denial("get", "Service", namespace=space, name=name)
        return self._account.denial(
            "list", "Pod", namespace=self._namespace
        ) or self._account.denial("get", "Node")


class ControllerLog:
    """What a controller says of itself, beside nginx' own words in the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: dict[str, frozenset[str]] = {}

    def tell(self, topic: str, texts: Iterable[str], level: str = "E") -> None:
        """Say what is not said yet of a topic; what does not hold any more may come again."""
        now = frozenset(filter(None, texts))
        new = now - self._said.get(topic, frozenset())
        self._said[topic] = now
        for text in sorted(new):
            self.say(text, level)

    def say(self, text: str, level: str = "E") -> None:
        """One line, as klog writes it."""
        at = datetime.now(UTC).strftime("%m%d %H:%M:%S.%f")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # a full disk: it is lost, and nothing else
            descriptor = files.opened(self._path, os.O_WRONLY | os.O_APPEND)
            with os.fdopen(descriptor, "ab") as log:
                log.write(f"{level}{at}       7 main.go] {text}\n".encode())
