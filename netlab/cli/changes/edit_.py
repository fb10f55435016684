"""Examples:

    netlab edit deploy/web
    EDITOR=nano netlab edit svc web

The editor is $KUBE_EDITOR, else $EDITOR, else vi. What it leaves is applied; if it cannot be,
the editor opens again with the reason above the text.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from netlab.cli import options, results
from netlab.cli.changes import patching
from netlab.client.sync import Client
from netlab.errors import EnvironmentLacks, NetlabError, UsageError
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.view.escape import escape

HEADER = """\
# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One object."""
    options.add_targets(parser, "deploy/web, svc NAME")
    options.add_namespace(parser)
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Edit, and apply what was changed."""
    targets = options.parse_targets(arguments.targets)
    if len(targets) != 1 or not targets[0][1]:
        raise UsageError("edit one object at a time", hint="netlab edit deploy/web")
    kind, name = targets[0]
    with options.client(arguments) as client, tempfile.TemporaryDirectory() as directory:
        found = client.get(kind.kind, options.space(kind, arguments), name)
        live = results.without_managers(found)
        return _rounds(client, live, Path(directory) / f"{name}.yaml", arguments)


def _rounds(client: Client, live: Object, file: Path, arguments: argparse.Namespace) -> int:
    """Open the editor until its text can be applied, or is left as it was."""
    from netlab.objects import yamlout

    text, problem = yamlout.dump(live), None
    while True:
        edited = _edited(file, HEADER + _commented(live, problem) + text)
        if not edited.strip() or edited == text:
            if problem is not None:
                raise NetlabError("Edit cancelled, no valid changes were saved.")
            print("Edit cancelled, no changes made.")
            return 0
        try:
            return _apply(client, live, edited, arguments)
        except NetlabError as error:
            text, problem = edited, error


def _commented(live: Object, problem: NetlabError | None) -> str:
    if problem is None:
        return ""
    reason = escape(f"* {problem}").split("\n")
    lines = [f"{results.resource_name(live)} was not valid:", *reason, ""]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _edited(file: Path, text: str) -> str:
    """What the editor leaves of the text, without comments."""
    file.write_text(text)
    command = os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(command), str(file)], check=False).returncode
    except (FileNotFoundError, ValueError):  # a quote in it that does not end
        raise EnvironmentLacks(
            f"there is no editor {command}", hint="set EDITOR, such as EDITOR=nano"
        ) from None
    if code:
        raise NetlabError(f"the editor failed: {command} exited with {code}: nothing was changed")
    return re.sub(r"(?m)^#.*\n?", "", file.read_text())


def _apply(client: Client, live: Object, text: str, arguments: argparse.Namespace) -> int:
    from netlab.client.apply import three_way

    wanted = parse(text, live)
    patch = three_way(live, wanted, live)
    if not patch:
        print("Edit cancelled, no changes made.")
        return 0
    results.report(patching.change(client, live, patch, arguments), "edited", arguments)
    return 0


def parse(text: str, live: Object) -> Object:
    """The object in the text, which must be the same one still."""
    from netlab import manifest

    loaded = manifest.loads(text, name="edited")
    if len(loaded.objects) != 1:
        raise UsageError("the text must hold one object")
    (wanted,) = loaded.objects
    for field, of in (
        ("kind", lambda o: o["kind"]),
        ("name", meta.name),
        ("namespace", meta.namespace),
    ):
        if of(wanted) != of(live):
            raise UsageError(f"the object's {field} cannot be changed: it was {of(live)}")
    return wanted
