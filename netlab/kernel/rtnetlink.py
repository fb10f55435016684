"""pyroute2's classes for route netlink's messages, without the rest of pyroute2.

`import pyroute2` imports all there is in it, from ethtool to an object database, for a tenth of a
second; its message classes need next to nothing of that. So they are imported with an empty
package in place of the whole one, which whoever wants it can still import afterwards.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator


@contextlib.contextmanager
def _package_without_init(name: str) -> Iterator[None]:
    """Import modules of a package in the body; the package's own code is not run for that."""
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None:
        yield
        return
    package = types.ModuleType(name)
    package.__path__ = spec.submodule_search_locations or []
    sys.modules[name] = package
    try:
        yield
    finally:
        del sys.modules[name]


with _package_without_init("pyroute2"):
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

__all__ = ["ifaddrmsg", "ifinfmsg", "rtmsg"]
