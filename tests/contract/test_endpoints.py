"""Nothing in the shipped package can make it ask another host than the vendor's."""

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from custom_components.bticino_classe.client import PRODUCTION, AuthHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[2] / "custom_components" / "bticino_classe"
CONSTANTS = PACKAGE / "client" / "const.py"
#: How endpoints are passed on: those of the handler that was created without any.
PASSED_ON = {"endpoints", "auth.endpoints"}


def faults(tree: ast.AST) -> Iterator[str]:
    """Yield where code creates endpoints, or passes on others than the handler's."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        creates = ast.unparse(node.func).rpartition(".")[2] in {"Endpoints", "replace"}
        if creates and "endpoints" in ast.unparse(node).lower():
            yield f"creates endpoints: {ast.unparse(node)}"
        for keyword in node.keywords:
            if keyword.arg == "endpoints" and ast.unparse(keyword.value) not in PASSED_ON:
                yield f"passes {ast.unparse(keyword.value)}"


def test_shipped_package() -> None:
    """Endpoints are created in one file, once, and handlers get no others."""
    found = {
        path.name: list(faults(ast.parse(path.read_text())))
        for path in PACKAGE.rglob("*.py")
        if path != CONSTANTS
    }
    assert {name: each for name, each in found.items() if each} == {}
    assert len(list(faults(ast.parse(CONSTANTS.read_text())))) == 1
    assert (AuthHandler.__init__.__kwdefaults__ or {})["endpoints"] is PRODUCTION


@pytest.mark.parametrize(
    "code",
    [
        "AuthHandler(user, password, endpoints=hass.data.get(KEY, PRODUCTION))",
        "AuthHandler(user, password, endpoints=entry.data['host'])",
        "Endpoints(api=os.environ['API'], turn=turn, push=push, signaling=signaling)",
        "client.Endpoints(api=host, turn=host, push=host, signaling=host)",
        "dataclasses.replace(auth.endpoints, api=host)",
        "download_picture(session, link, endpoints=options.endpoints)",
    ],
)
def test_code_that_asks_another_host(code: str) -> None:
    """The check finds it."""
    assert list(faults(ast.parse(code)))
