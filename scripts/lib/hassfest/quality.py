"""quality_scale.yaml: our own contract, complete and with reasons."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .project import Json, Project

BRONZE: Final = """
action-setup appropriate-polling brands common-modules config-flow config-flow-test-coverage
dependency-transparency docs-actions docs-conditions docs-high-level-description
docs-installation-instructions docs-removal-instructions docs-triggers entity-event-setup
entity-unique-id has-entity-name runtime-data test-before-configure test-before-setup
unique-config-entry"""
SILVER: Final = """
action-exceptions config-entry-unloading docs-configuration-parameters
docs-installation-parameters entity-unavailable integration-owner log-when-unavailable
parallel-updates reauthentication-flow test-coverage"""
GOLD: Final = """
devices diagnostics discovery discovery-update-info docs-data-update docs-examples
docs-known-limitations docs-supported-devices docs-supported-functions docs-troubleshooting
docs-use-cases dynamic-devices entity-category entity-device-class entity-disabled-by-default
entity-translations exception-translations icon-translations reconfiguration-flow repair-issues
stale-devices"""
PLATINUM: Final = "async-dependency inject-websession strict-typing"
RULES: Final = frozenset(f"{BRONZE} {SILVER} {GOLD} {PLATINUM}".split())
STATUSES: Final = ("done", "todo", "exempt")


def check(project: Project) -> None:
    """Check that exactly the known rules are answered, and that an exemption says why."""
    path = project.package / "quality_scale.yaml"
    if (scale := project.yaml(path)) is None:
        return
    rules = scale.get("rules")
    if list(scale) != ["rules"] or not isinstance(rules, dict):
        project.complain(path, "holds one mapping, rules")
        return
    project.complain_all(path, _names(rules))
    for rule, answer in rules.items():
        project.complain_all(path, _answer(rule, answer))


def _names(rules: Json) -> Iterator[str]:
    yield from (f"{rule} is missing" for rule in sorted(RULES - rules.keys()))
    yield from (f"{rule} is not a rule" for rule in sorted(rules.keys() - RULES))


def _answer(rule: str, answer: object) -> Iterator[str]:
    status, comment = answer, None
    if isinstance(answer, dict):
        status, comment = answer.get("status"), answer.get("comment")
        yield from (
            f"{rule}.{key} is not known" for key in answer if key not in {"status", "comment"}
        )
    if status not in STATUSES:
        yield f"{rule} is {status!r}, not one of {', '.join(STATUSES)}"
    if status != "done" and not comment:
        yield f"{rule} is {status} and needs a comment that says why"
