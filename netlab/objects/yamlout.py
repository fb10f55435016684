"""Values as YAML text that reads back as the same values, here and in Kubernetes.

The quotes and blocks are those of kubectl's own output.

PyYAML leaves text such as `1e5` or `0E0` unquoted, which it takes for text itself; Kubernetes reads
a number there. A label that looks so must come back as it was.
"""

from __future__ import annotations

from typing import Any

import yaml

from netlab.objects.yamltext import resolve

_Dumper: Any = type(
    "_Dumper",
    (getattr(yaml, "CSafeDumper", yaml.SafeDumper),),
    # What is in two places is written twice: an alias is nothing that people expect to read.
    {"ignore_aliases": lambda *_: True},
)
_STRING = "tag:yaml.org,2002:str"


def _text(dumper: Any, text: str) -> yaml.Node:
    node: yaml.Node = dumper.represent_scalar(_STRING, text, style=_style(dumper, text))
    return node


def _style(dumper: Any, text: str) -> str | None:
    if "\n" in text:
        return "|"
    is_text = dumper.resolve(yaml.ScalarNode, text, (True, False)) == _STRING
    return None if is_text and isinstance(resolve(text), str) else '"'


_Dumper.add_representer(str, _text)


def dump(value: Any, *, sort_keys: bool = True, flow: bool = False) -> str:
    """One document, in block style unless `flow`."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=sort_keys, default_flow_style=flow, allow_unicode=True
    )
    return text
