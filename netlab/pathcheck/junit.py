"""Results as JUnit XML, which every CI system can show. Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from netlab.pathcheck.result import CheckResult

# XML 1.0 has no place for control characters, and a server may say anything.
_UNPRINTABLE = {code: "\N{REPLACEMENT CHARACTER}" for code in range(32) if code not in (9, 10, 13)}


def junit(results: Sequence[CheckResult], suite: str = "netlab check") -> str:
    """One `testsuite`; a check that could not run is an `error`, not a `failure`."""
    root = ET.Element(
        "testsuite",
        name=suite,
        tests=str(len(results)),
        failures=str(sum(result.status == "fail" for result in results)),
        errors=str(sum(result.status == "error" for result in results)),
        skipped="0",
        time=f"{max((result.seconds for result in results), default=0.0):.3f}",
    )
    for result in results:
        _case(root, result, suite)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{body}\n"


def _case(root: ET.Element, result: CheckResult, suite: str) -> None:
    case = ET.SubElement(
        root, "testcase", classname=suite, name=result.name, time=f"{result.seconds:.3f}"
    )
    tag = {"fail": "failure", "error": "error"}.get(result.status)
    if tag is not None:
        message = "; ".join(result.reasons).translate(_UNPRINTABLE)
        causes = map(str, result.causes)
        details = "\n".join((*result.reasons, *causes, result.path, result.hint))
        ET.SubElement(case, tag, message=message).text = details.strip().translate(_UNPRINTABLE)
    text = "\n".join(each for each in (result.description, result.path, result.said) if each)
    ET.SubElement(case, "system-out").text = text.translate(_UNPRINTABLE)
