"""What mypy cannot know of itself: which fields there are, and what the informer of a kind holds.

`pod.get("sepc")` is refused as `pod["sepc"]` is. By itself mypy lets a `get` ask a TypedDict for
any field, since a subtype may have more than the type says. No object of the API has: its schema
names all its fields.

`informers["Pod"]` is an `Informer[Pod]`: the types have their kinds' names. A kind without types is
refused.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import TypeInfo
from mypy.plugin import MethodContext, Plugin
from mypy.plugins.default import typed_dict_get_callback
from mypy.typeops import try_getting_str_literals
from mypy.types import (
    Instance,
    Type,
    TypedDictType,
    UnionType,
    get_proper_type,
)


class Known(Plugin):
    """Asks before mypy's own hooks."""

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """For the method that every TypedDict has from Mapping, and that of `Informers`."""
        hooks = {"typing.Mapping.get": _get, _INFORMERS: self._informer}
        return hooks.get(fullname)

    def _informer(self, context: MethodContext) -> Type:
        of_any = get_proper_type(context.default_return_type)
        kinds = try_getting_str_literals(context.args[0][0], context.arg_types[0][0])
        if not isinstance(of_any, Instance) or not kinds or len(kinds) > 1:
            return of_any  # by a name that only the running program knows
        found = self.lookup_fully_qualified(f"{_TYPES}.{kinds[0]}")
        if found is None or not isinstance(found.node, TypeInfo) or not found.node.typeddict_type:
            context.api.fail(f'{_TYPES} has no kind "{kinds[0]}"', context.context)
            return of_any
        return of_any.copy_modified(args=[found.node.typeddict_type])


_TYPES, _INFORMERS = "netlab.objects.types", "netlab.client.informer.Informers.__getitem__"


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
    return Known
