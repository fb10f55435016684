"""What configurations of admission webhooks may say; and that nobody asks the webhooks here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from netlab.objects import fields
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, duplicate, invalid, required

Mapping = dict[str, Any]
Problems = Iterator[FieldProblem]

KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_VERSIONS = ("v1", "v1beta1")


def warnings(obj: Object) -> list[str]:
    """A line if the object names webhooks: they would decide over others, and do not."""
    names = [str(one.get("name")) for one in obj.get("webhooks") or []]
    if obj.get("kind") not in KINDS or not names:
        return []
    does = "changes" if obj["kind"] == KINDS[0] else "refuses"
    quoted = ", ".join(f'"{name}"' for name in names)
    few = len(names) == 1
    return [
        f"webhook{'' if few else 's'} {quoted}: stored, but a lab calls no admission webhook, so "
        f"{'it' if few else 'they'} {does if few else does[:-1]} nothing"
    ]


def webhook_configuration(obj: Object) -> Problems:
    """A ValidatingWebhookConfiguration or a MutatingWebhookConfiguration."""
    names: set[str] = set()
    for index, webhook in enumerate(obj.get("webhooks") or []):
        path: Path = ("webhooks", index)
        name = str(webhook.get("name") or "")
        yield from _name((*path, "name"), name)
        if name in names:
            yield duplicate((*path, "name"), name)
        names.add(name)
        yield from _webhook(path, webhook)


def _name(path: Path, name: str) -> Problems:
    if not name:
        yield required(path)
        return
    yield from fields.dns_subdomain(path, name)
    if len(name.split(".")) < 3:
        yield invalid(path, name, "should be a domain with at least three segments separated by "
                      "dots")  # fmt: skip


def _webhook(path: Path, webhook: Mapping) -> Problems:
    versions = webhook.get("admissionReviewVersions")
    if versions is not None and not any(one in _VERSIONS for one in versions):
        detail = f"must include at least one of {', '.join(_VERSIONS)}"
        yield invalid((*path, "admissionReviewVersions"), versions, detail)
    for index, rule in enumerate(webhook.get("rules") or []):
        yield from _rule((*path, "rules", index), rule)
    seconds = webhook.get("timeoutSeconds")
    if isinstance(seconds, int) and not 1 <= seconds <= 30:
        detail = "the timeout value must be between 1 and 30 seconds"
        yield invalid((*path, "timeoutSeconds"), seconds, detail)
    if webhook.get("clientConfig") is not None:
        yield from _client((*path, "clientConfig"), webhook["clientConfig"])


def _rule(path: Path, rule: Mapping) -> Problems:
    for field in ("operations", "apiGroups", "apiVersions", "resources"):
        values: Sequence[str] = rule.get(field) or []
        if not values:
            yield required((*path, field))
        elif "*" in values and len(values) > 1 and field != "resources":
            detail = f"if '*' is present, must not specify other {_THINGS[field]}"
            yield invalid((*path, field), values, detail)


_THINGS = {
    "operations": "operations",
    "apiGroups": "API groups",
    "apiVersions": "API versions",
}


def _client(path: Path, config: Mapping) -> Problems:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    if url is not None:
        yield from _url((*path, "url"), url)
    if service is not None:
        yield from _service((*path, "service"), service)


def _url(path: Path, url: str) -> Problems:
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
    except ValueError as error:
        yield required(path, f"url must be a valid URL: {error}; desired format: {_FORMAT}")
        return
    if scheme != "https":
        detail = f"'https' is the only allowed URL scheme; desired format: {_FORMAT}"
        yield invalid(path, scheme, detail)
    if not host:
        yield invalid(path, "", f"host must be specified; desired format: {_FORMAT}")


_FORMAT = "https://host[/path]"


def _service(path: Path, service: Mapping) -> Problems:
    for field in ("name", "namespace"):
        if service.get(field) == "":
            yield required((*path, field), f"service {field} is required")
    if service.get("port") is not None:
        yield from fields.port_number((*path, "port"), service["port"])
    where = service.get("path")
    if where is not None and not where.startswith("/"):
        yield invalid((*path, "path"), where, "must start with a '/'")
