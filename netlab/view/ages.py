"""Times as a table shows them: `67s`, `3m20s`, `33h`, `3d22h`."""

from __future__ import annotations


def human_duration(seconds: float) -> str:
    """A duration as kubectl prints it: at most two units, fewer digits the longer it lasts.

    Source: k8s.io/apimachinery/pkg/util/duration, HumanDuration.
    """
    if seconds <= -2:
        return "<invalid>"
    whole = max(int(seconds), 0)
    if whole < 3 * 3600:
        return _up_to_three_hours(whole)
    return _hours_and_more(whole // 3600, whole // 60 % 60)


def _up_to_three_hours(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 10 and rest:
        return f"{minutes}m{rest}s"
    return f"{minutes}m"


def _hours_and_more(hours: int, minutes: int) -> str:
    days = hours // 24
    if hours < 8:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years, rest = divmod(days, 365)
    return f"{years}y{rest}d" if years < 8 and rest else f"{years}y"
