"""netlab: Kubernetes-style service routing made of Linux network namespaces."""

import sys

__version__ = "0.1.0"

# msgspec, which all of netlab imports, takes typing_extensions where there is one, and does as well
# without: with what that imports in turn it would be a sixth of all that `netlab get` does.
if "typing_extensions" not in sys.modules:
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]
