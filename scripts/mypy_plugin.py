"""Has mypy refuse `pod.get("sepc")` as it does `pod["sepc"]`.

By itself it lets a `get` ask a TypedDict for any field, since a subtype may have more than the type
says. No object of the API has: its schema names all its fields.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.plugin import MethodContext, Plugin
from mypy.plugins.default import typed_dict_get_callback
from mypy.typeops import try_getting_str_literals
from mypy.types import Instance, Type, TypedDictType, UnionType, get_proper_type


class KnownFields(Plugin):
    """Asks before mypy's own hook, which it then calls."""

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """For the method that every TypedDict has from Mapping."""
        return _get if fullname == "typing.Mapping.get" else None


def _get(context: MethodContext) -> Type:
    owner = get_proper_type(context.type)
    if not isinstance(owner, TypedDictType) or not context.args[0]:
        return typed_dict_get_callback(context)
    asked, *rest = context.arg_types
    literal = _literal(asked[0])
    for key in try_getting_str_literals(context.args[0][0], literal) or ():
        if key not in owner.items:
            context.api.msg.typeddict_key_not_found(owner, key, context.context)
    return typed_dict_get_callback(context._replace(arg_types=[[literal], *rest]))


def _literal(asked: Type) -> Type:
    """The names that a loop over names has its variable run through."""
    proper = get_proper_type(asked)
    if isinstance(proper, UnionType):
        return UnionType([_literal(item) for item in proper.items])
    if isinstance(proper, Instance) and proper.last_known_value:
        return proper.last_known_value
    return asked


def plugin(_version: str) -> type[Plugin]:
    """What mypy asks for."""
    return KnownFields
