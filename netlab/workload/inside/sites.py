"""The catalogue's sites that `web_server` may be asked for; `pod_binaries` writes them here."""

from __future__ import annotations

from typing import Any

SITES: dict[str, dict[str, Any]] = {}
