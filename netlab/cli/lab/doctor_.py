"""Looks at this machine and says what is missing, what is left over, and what mends it.

Exit code: 0 labs can run here, 3 something they need is missing.

-o json: [{name, ok, detail, fix, required}]
"""

from __future__ import annotations

import argparse
import json

from msgspec.structs import asdict

from netlab.cli import options, terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to show it."""
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Print every finding; changes nothing."""
    from netlab.kernel import preflight

    findings = preflight.checks()
    if arguments.output == "json":
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else "MISS" if finding.required else "note"
            print(terminal.fit(f"{mark}  {finding.name}: {finding.detail}", " " * 6))
            if not finding.ok and finding.fix:
                print(terminal.fit(options.unsudoed(f"        fix: {finding.fix}")))
    return 3 if any(finding.required and not finding.ok for finding in findings) else 0
