"""Which of several backends or endpoints a request goes to, as annotations ask for it."""

from __future__ import annotations

from netlab.ingress.annotations import Annotations
from netlab.ingress.model import Backend, Canary, SessionAffinity
from netlab.ingress.quoting import literal_dollars, quoted


def affinity(said: Annotations, path: str) -> SessionAffinity | None:
    """The cookie by which a client keeps its endpoint; it is sent with what is below its path."""
    if said.affinity != "cookie":
        return None
    attributes = [f"Path={literal_dollars(said.session_cookie_path or path)}"]
    if said.session_cookie_domain:
        attributes.append(f"Domain={said.session_cookie_domain}")
    lasting = said.session_cookie_max_age
    if lasting is None:  # the same, for who knows no Max-Age; only that wants no clock
        lasting = said.session_cookie_expires
    if lasting is not None:
        attributes.append(f"Max-Age={lasting}")
    attributes.append("HttpOnly")
    if said.session_cookie_samesite:
        attributes.append(f"SameSite={said.session_cookie_samesite}")
    return SessionAffinity(
        said.session_cookie_name,
        "; ".join(attributes),
        said.session_cookie_secure,
        said.session_cookie_change_on_failure,
        said.affinity_mode != "persistent",
    )


EWMA = "ewma is nginx' least_conn here: who has the fewest requests under way, not who was quickest"


def balance(said: Annotations, general: str) -> str:
    """The directive of an upstream that says which endpoint is next; "" for each in turn."""
    if said.upstream_hash_by:
        return f"hash {quoted(said.upstream_hash_by)} consistent"
    wanted = said.load_balance or general
    return "least_conn" if wanted == "ewma" else ""


def canary(said: Annotations, backend: Backend) -> Canary:
    """When a request goes to the canary."""
    return Canary(
        backend,
        said.canary_by_header,
        said.canary_by_header_value,
        said.canary_by_header_pattern,
        said.canary_by_cookie,
        min(said.canary_weight, said.canary_weight_total),
        said.canary_weight_total,
        said.affinity_canary_behavior != "legacy",
    )
