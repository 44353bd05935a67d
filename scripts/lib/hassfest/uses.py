"""Finds in Python code which translation keys it uses, and under which headings they belong."""

import ast
from dataclasses import dataclass
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PLATFORM_NAMES: Final = """
binary_sensor button calendar camera event image light lock media_player number select sensor siren
switch text time update"""
_PLATFORMS: Final = frozenset(_PLATFORM_NAMES.split())
_STEPS: Final = ("config.step", "options.step")
_ERRORS: Final = ("config.error", "options.error")
_ABORTS: Final = ("config.abort", "options.abort")
_ANYWHERE: Final = ("exceptions", "issues", "device", "selector", "entity.*")
# Methods of Home Assistant's flows that end one with a reason of their own. Those that end a
# re-authentication or a reconfiguration bring the text too.
_SILENT_ABORTS: Final = {
    "_abort_if_unique_id_configured": "already_configured",
    "_abort_if_unique_id_mismatch": "unique_id_mismatch",
    "_async_abort_entries_match": "already_configured",
}
_KEY: Final = re.compile(r"[a-z]+(?:_[a-z]+)*")

type Names = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A key in the code; it has to be under one of the dotted headings of en.json."""

    headings: tuple[str, ...]
    key: str
    line: int


def constants(trees: Iterable[ast.Module]) -> Names:
    """Return the texts that modules give names to at their top level."""
    names: Names = {}
    for tree in trees:
        for node in tree.body:
            for target in _targets(node):
                value = getattr(node, "value", None)
                if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                    names[target.id] = str(value.value)
    return names


def uses(tree: ast.Module, stem: str, names: Names) -> Iterator[Use]:
    """Yield the keys that one module uses, as far as they stand in it as texts or constants."""
    for node in ast.walk(tree):
        for headings, value in _places(node, stem):
            for key in _texts(value, names):
                yield Use(headings=headings, key=key, line=value.lineno)


def _places(node: ast.AST, stem: str) -> Iterator[tuple[tuple[str, ...], ast.expr]]:
    match node:
        case ast.Call():
            yield from _of_call(node, stem)
        case ast.Assign() | ast.AnnAssign() if node.value is not None:
            for target in _targets(node):
                yield from _of_assignment(target, node.value, stem)
        case ast.Constant(value=str(text)) if stem == "errors" and _KEY.fullmatch(text):
            yield ("exceptions",), node  # errors.py is the table from errors to their texts
        case ast.Dict():
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "base":
                    yield _ERRORS, value


def _of_call(call: ast.Call, stem: str) -> Iterator[tuple[tuple[str, ...], ast.expr]]:
    name = _name(call.func)
    arguments = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if "translation_key" in arguments:
        headings = _headings(name, stem, raised="translation_domain" in arguments)
        yield headings, arguments["translation_key"]
    if "step_id" in arguments:
        yield _STEPS, arguments["step_id"]
    if "reason" in arguments and "abort" in name:
        yield _ABORTS, arguments["reason"]
    elif name in _SILENT_ABORTS:
        yield _ABORTS, ast.copy_location(ast.Constant(_SILENT_ABORTS[name]), call)


def _headings(name: str, stem: str, *, raised: bool) -> tuple[str, ...]:
    if name.endswith("create_issue"):
        return ("issues",)
    if raised:
        return ("exceptions",)
    if name.endswith("SelectorConfig"):
        return ("selector",)
    if name in {"DeviceInfo", "async_get_or_create"}:
        return ("device",)
    if name.endswith("Description"):
        return _entity(stem)
    return _ANYWHERE


def _of_assignment(
    target: ast.expr, value: ast.expr, stem: str
) -> Iterator[tuple[tuple[str, ...], ast.expr]]:
    if _name(target) == "_attr_translation_key":
        yield _entity(stem), value
    if isinstance(target, ast.Subscript) and _name(target.value) == "errors":
        yield _ERRORS, value


def _entity(stem: str) -> tuple[str, ...]:
    return (f"entity.{stem}" if stem in _PLATFORMS else "entity.*",)


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.expr, names: Names) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from _texts(node.body, names)
            yield from _texts(node.orelse, names)
        case ast.Name() | ast.Attribute() if _name(node) in names:
            yield names[_name(node)]
