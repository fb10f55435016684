"""The flags that an Ingress controller knows, as its own library reads them. Pure.

Source: pkg/flags/flags.go in ingress-nginx; github.com/spf13/pflag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from netlab.objects.times import duration

_ACT = (
    "annotations-prefix", "configmap", "controller-class", "default-backend-service",
    "default-ssl-certificate", "election-id", "election-ttl", "health-check-path", "healthz-host",
    "ingress-class", "publish-service", "publish-status-address", "tcp-services-configmap",
    "udp-services-configmap", "watch-namespace", "watch-namespace-selector",
)  # fmt: skip
_PORTS = ("healthz-port", "http-port", "https-port")
_SWITCHES = (
    "disable-catch-all", "disable-leader-election", "disable-svc-external-name",
    "disable-sync-events", "ingress-class-by-name", "report-node-internal-ip-address",
    "update-status", "update-status-on-shutdown", "version", "watch-ingress-without-class",
)  # fmt: skip

_SAME = (
    "default-server-port", "deep-inspect", "disable-full-test", "dynamic-configuration-retries",
    "health-check-timeout", "internal-logger-address", "monitor-max-batch-size",
    "post-shutdown-grace-period", "profiler-address", "profiler-port", "profiling",
    "shutdown-grace-period", "ssl-passthrough-proxy-port", "status-port", "status-update-interval",
    "stream-port", "sync-period", "sync-rate-limit", "validating-webhook",
    "validating-webhook-certificate", "validating-webhook-key",
    # of the library that writes its log
    "add_dir_header", "alsologtostderr", "log_backtrace_at", "log_dir", "log_file",
    "log_file_max_size", "logtostderr", "one_output", "skip_headers", "skip_log_headers",
    "stderrthreshold", "v", "vmodule",
)  # fmt: skip
"""Those of which no request, status or Event would tell the difference: how soon, how often."""

_API = "the lab's own API is asked"
_METRICS = "there are no metrics"
_MISSING = {
    "apiserver-host": _API,
    "certificate-authority": _API,
    "kubeconfig": _API,
    "enable-annotation-validation": "annotations are always validated",
    "enable-metrics": _METRICS,
    "bucket-factor": _METRICS,
    "exclude-socket-metrics": _METRICS,
    "length-buckets": _METRICS,
    "max-buckets": _METRICS,
    "metrics-per-host": _METRICS,
    "metrics-per-undefined-host": _METRICS,
    "report-status-classes": _METRICS,
    "size-buckets": _METRICS,
    "time-buckets": _METRICS,
    "enable-ssl-chain-completion": "certificates are shown as they are",
    "enable-ssl-passthrough": "TLS ends at the controller",
    "enable-topology-aware-routing": "endpoints of all zones are asked",
    "maxmind-edition-ids": "nothing is known of places",
    "maxmind-license-key": "nothing is known of places",
    "maxmind-mirror": "nothing is known of places",
    "maxmind-retries-count": "nothing is known of places",
    "maxmind-retries-timeout": "nothing is known of places",
}
"""What is done in place of what they ask for."""

_BOOLEAN = frozenset(
    (
        *_SWITCHES, "add_dir_header", "alsologtostderr", "deep-inspect", "disable-full-test",
        "enable-annotation-validation", "enable-metrics", "enable-ssl-chain-completion",
        "enable-ssl-passthrough", "enable-topology-aware-routing", "logtostderr",
        "metrics-per-host", "metrics-per-undefined-host", "one_output", "profiling",
        "report-status-classes", "skip_headers", "skip_log_headers",
        # of older controllers
        "enable-dynamic-certificates", "enable-dynamic-configuration", "force-namespace-isolation",
        "sort-backends",
    )
)  # fmt: skip
"""Those that need no value."""

_WHOLE = frozenset(
    (
        *_PORTS, "default-server-port", "dynamic-configuration-retries", "health-check-timeout",
        "maxmind-retries-count", "monitor-max-batch-size", "post-shutdown-grace-period",
        "profiler-port", "shutdown-grace-period", "ssl-passthrough-proxy-port", "status-port",
        "status-update-interval", "stream-port",
    )
)  # fmt: skip

_DURATIONS = ("election-ttl", "sync-period")

KNOWN = frozenset((*_ACT, *_PORTS, *_SWITCHES, *_SAME, *_MISSING))
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")

Said = Mapping[str, str]
"""Values by the flags' names."""


class Unusable(Exception):
    """The controller would not start: it says the text, and ends with `code`."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def said(arguments: Sequence[str]) -> Said:
    """`--name=value`, `--name value`, `--flag`; the program's own name is among them."""
    found = {}
    words = iter(arguments)
    for word in words:
        if word == "--":
            break
        if word.startswith("-") and len(word) > 1:
            name, equals, value = word.lstrip("-").partition("=")
            if not equals:
                value = "true" if name in _BOOLEAN else next(words, "")
            found[name] = value
    return found


def is_on(flags: Said, name: str) -> bool:
    """Whether a switch was put on."""
    return flags.get(name) in _TRUE


def check(flags: Said, *, is_old: bool = False) -> None:
    """Raise `Unusable` for what keeps a controller from starting; one that `is_old` may have flags
    that there are no more."""
    for name, value in flags.items():
        if name not in KNOWN and not is_old:
            raise Unusable(f"unknown flag: --{name}", 2)
        if problem := _invalid(name, value):
            raise Unusable(f'invalid argument "{value}" for "--{name}" flag: {problem}', 2)
    for one, other in (
        ("publish-service", "publish-status-address"),
        ("watch-namespace", "watch-namespace-selector"),
    ):
        if flags.get(one) and flags.get(other):
            raise Unusable(f"flags --{one} and --{other} are mutually exclusive", 255)


def _invalid(name: str, value: str) -> str:
    if name in _BOOLEAN and value not in _TRUE + _FALSE:
        return f'strconv.ParseBool: parsing "{value}": invalid syntax'
    if name in _WHOLE and not re.fullmatch(r"[+-]?[0-9]{1,9}", value):
        return f'strconv.ParseInt: parsing "{value}": invalid syntax'
    if name in _DURATIONS and duration(value) is None:
        return f'time: invalid duration "{value}"'
    if name in _DURATIONS and value != "0" and value.isdecimal():
        return f'time: missing unit in duration "{value}"'
    return ""


def without_effect(flags: Said) -> Iterator[str]:
    """What is not done of what they ask for, a line each."""
    for name, value in sorted(flags.items()):
        is_off = name in _BOOLEAN and value in _FALSE
        if name not in KNOWN:
            yield f"flag --{name} has no effect: it is not known to this controller"
        elif name in _MISSING and is_off is (name == "enable-annotation-validation"):
            yield f"flag --{name} has no effect: {_MISSING[name]}"
