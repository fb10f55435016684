"""`/agnhost`: the program of Kubernetes' own test image, as far as its network tests go."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

_ASKING, _NETEXEC = "netlab.workload.inside.asking", "netlab.workload.inside.netexec"
_SERVERS, _SEVERAL = "netlab.workload.inside.servers", "netlab.workload.inside.several"

SUBCOMMANDS = {
    "connect": (_ASKING, "connect"),
    "dns-server-list": (_ASKING, "dns_server_list"),
    "dns-suffix": (_ASKING, "dns_suffix"),
    "entrypoint-tester": (_ASKING, "entrypoint_tester"),
    "etc-hosts": (_ASKING, "etc_hosts"),
    "fake-gitserver": (_SERVERS, "fake_gitserver"),
    "guestbook": (_SEVERAL, "guestbook"),
    "inclusterclient": (_ASKING, "inclusterclient"),
    "liveness": (_SERVERS, "liveness"),
    "logs-generator": (_ASKING, "logs_generator"),
    "mounttest": (_ASKING, "mounttest"),
    "net": (_SEVERAL, "net"),
    "netexec": (_NETEXEC, "main"),
    "nettest": (_ASKING, "nettest"),
    "no-snat-test": (_SEVERAL, "no_snat_test"),
    "no-snat-test-proxy": (_SEVERAL, "no_snat_test_proxy"),
    "pause": (_ASKING, "pause"),
    "port-forward-tester": (_SERVERS, "port_forward_tester"),
    "porter": (_SERVERS, "porter"),
    "serve-hostname": (_SERVERS, "serve_hostname"),
    "tcp-reset": (_SERVERS, "tcp_reset"),
    "test-webserver": (_SERVERS, "test_webserver"),
}
"""Where each is, imported when it is asked for: others cost time at every start."""

VERSION = "2.53"
_GO_DIED_OF_SIGNAL = 2


def main(words: Sequence[str]) -> None:
    """Run one."""
    # As process 1 of a container a program that has no handler would never end of it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(_GO_DIED_OF_SIGNAL))
    name, *rest = words or ["help"]
    if name in ("--version", "-v"):
        print(f"agnhost version {VERSION}")
    elif name in ("help", "--help", "-h"):
        print("Usage:\n  app [command]\n\nAvailable Commands:")
        print("".join(f"  {each}\n" for each in SUBCOMMANDS), end="")
    elif name not in SUBCOMMANDS:
        print(f'Error: unknown command "{name}" for "app"', file=sys.stderr)
        print("netlab: what its stand-in has, `/agnhost help` tells", file=sys.stderr)
        sys.exit(1)
    else:
        module, function = SUBCOMMANDS[name]
        getattr(importlib.import_module(module), function)(rest)
