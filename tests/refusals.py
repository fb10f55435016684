"""What a registry says of objects that it does not take."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.errors import ApiError, Invalid


def refused(registry: Any, obj: dict[str, Any]) -> str:
    """By admission: a 403."""
    with pytest.raises(ApiError) as caught:
        registry.create(obj)
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    return caught.value.message


def complaints(registry: Any, obj: dict[str, Any]) -> str:
    """By validation, without the object's name."""
    with pytest.raises(Invalid) as caught:
        registry.create(obj)
    return caught.value.message.partition(" is invalid: ")[2]
