"""services.yaml against the translations and the icons; all three may be without actions."""

from typing import TYPE_CHECKING, Any

from .project import Json, Project, branch

if TYPE_CHECKING:
    from collections.abc import Iterator


def check(project: Project) -> None:
    """Check that each action and each field is declared, named and has an icon."""
    path = project.package / "services.yaml"
    actions = project.yaml(path, required=False) or {}
    english = project.json(project.package / "translations" / "en.json", required=False) or {}
    icons = project.json(project.package / "icons.json", required=False) or {}
    named = branch(english, "services")
    project.complain_all(path, _compare(actions, named))
    for action in sorted(actions.keys() - branch(icons, "services").keys()):
        project.complain(path, f"{action} has no icon in icons.json")


def _compare(actions: Json, named: Json) -> Iterator[str]:
    for action in sorted(actions.keys() | named.keys()):
        if action not in named:
            yield f"{action} has no translation in en.json"
        elif action not in actions:
            yield f"{action} is translated in en.json, and not declared here"
        else:
            yield from _fields(action, actions[action], named[action])


def _fields(action: str, declared: Any, named: Json) -> Iterator[str]:
    fields = set(_field_names(branch(declared or {}, "fields")))
    texts = branch(named, "fields").keys()
    yield from (f"{action}: the field {f} has no translation" for f in sorted(fields - texts))
    yield from (f"{action}: the field {f} is translated only" for f in sorted(texts - fields))


def _field_names(fields: Json) -> Iterator[str]:
    for name, field in fields.items():
        if isinstance(field, dict) and "fields" in field:
            yield from _field_names(field["fields"])  # a section
        else:
            yield name
