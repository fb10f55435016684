"""Values as YAML text that reads back as the same values, here and in Kubernetes.

PyYAML leaves text such as `1e5` or `0E0` unquoted, which it takes for text itself; Kubernetes reads
a number there. A label that looks so must come back as it was.
"""

from __future__ import annotations

from typing import Any

import yaml

from netlab.objects.yamltext import resolve

_Dumper: Any = type("_Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})


def _text(dumper: Any, text: str) -> yaml.Node:
    style = None if isinstance(resolve(text), str) else "'"
    node: yaml.Node = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _text)


def dump(value: Any, *, sort_keys: bool = True, flow: bool = False) -> str:
    """One document, in block style unless `flow`."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=sort_keys, default_flow_style=flow, allow_unicode=True
    )
    return text
