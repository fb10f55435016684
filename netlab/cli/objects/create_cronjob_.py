"""Examples:

netlab create cronjob tick --image=busybox --schedule="*/1 * * * *" -- date
netlab create cronjob nightly --image=busybox --schedule=@daily --restart=Never
"""

from __future__ import annotations

import argparse

from netlab.cli import options, results
from netlab.cli.objects import create_job_, creation
from netlab.objects.meta import Object

RESTARTS = ("OnFailure", "Never")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    parser.add_argument("name", metavar="NAME", help="the CronJob's name")
    options.add_command(parser, creation.COMMAND)
    parser.add_argument("--image", required=True, help="what to run")
    parser.add_argument(
        "--schedule", required=True, metavar="CRON", help="when: five fields, or @hourly …"
    )
    parser.add_argument("--restart", choices=RESTARTS, default=RESTARTS[0], help="of what failed")
    options.add_namespace(parser)
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create it."""
    creation.require_one_name(arguments, "create cronjob")
    creation.create(cron_job_object(arguments), arguments)
    return 0


def cron_job_object(arguments: argparse.Namespace) -> Object:
    """The CronJob that the command line describes."""
    template = create_job_.template(arguments, arguments.name, arguments.restart)
    below = {"metadata": {"name": arguments.name}, "spec": {"template": template}}
    spec = {"schedule": arguments.schedule, "jobTemplate": below}
    return creation.new("CronJob", arguments.name, arguments, spec=spec)
