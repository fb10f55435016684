"""Which template a StatefulSet's or DaemonSet's pod was made from, told by a label's hash.

Older templates themselves are not kept: a pod created anew is always of the present one.
"""

from __future__ import annotations

from netlab.objects import meta, names
from netlab.objects.meta import Object

LABEL = "controller-revision-hash"


def update_revision(owner: Object) -> str:
    """`<owner>-<hash of its template>`."""
    return f"{meta.name(owner)}-{names.template_hash(meta.spec(owner)['template'])}"


def update_hash(owner: Object) -> str:
    """The hash alone, which is what DaemonSets put in the label."""
    return names.template_hash(meta.spec(owner)["template"])


def of(pod: Object) -> str:
    """The label's value, "" for a pod without."""
    return meta.labels(pod).get(LABEL, "")
