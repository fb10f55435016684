"""What makes pods that end: Jobs, and what makes Jobs by the clock."""

from __future__ import annotations

from netlab.objects.kinds.kind import ALL, TEMPLATE, Kind

JOB = Kind(
    "Job",
    "jobs",
    "batch",
    categories=ALL,
    subresources=("status",),
    selectable=("status.successful",),
    not_selectable='field label "{}" not supported for batchv1.Job',
    counts_generation=True,
    orphans=True,
    pod_path=TEMPLATE,
)
CRON_JOB = Kind(
    "CronJob",
    "cronjobs",
    "batch",
    short_names=("cj",),
    categories=ALL,
    subresources=("status",),
    counts_generation=True,
    pod_path=("spec", "jobTemplate", *TEMPLATE),
)

JOB_TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer of a Job's pods, until they are counted."""

KINDS = (JOB, CRON_JOB)
