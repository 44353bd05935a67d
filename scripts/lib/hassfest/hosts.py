"""Host names: the vendor's, in client/const.py, and no others anywhere in the package."""

import io
import re
import tokenize
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .project import Project

_HOST: Final = re.compile(
    r"(?:[a-z][a-z0-9+]*://(?P<authority>[^\s/\"'<>`]+))"
    r"|(?<![\w.@/-])(?P<bare>(?:[a-z0-9-]+\.)+(?:com|dev|eu|fr|io|it|net|org))(?![\w.-])",
    re.IGNORECASE,
)
_VENDOR: Final = re.compile(r"(?:[a-z0-9-]+\.)*netatmo\.(?:net|com)", re.IGNORECASE)
_TEXTS: Final = (tokenize.STRING, tokenize.FSTRING_MIDDLE, tokenize.COMMENT)


def check(project: Project) -> None:
    """Check every text of the package but the manifest, whose addresses are the project's own."""
    endpoints = project.package / "client" / "const.py"
    for path in sorted(project.package.rglob("*")):
        if path.suffix == ".py":
            hosts = set(_hosts_of_python(project.text(path) or ""))
        elif path.suffix in {".json", ".yaml"} and path.name != "manifest.json":
            hosts = set(_hosts(project.text(path) or ""))
        else:
            continue
        project.complain_all(path, _strangers(path, endpoints, hosts))


def _strangers(path: Path, endpoints: Path, hosts: set[str]) -> Iterator[str]:
    for host in sorted(hosts):
        if path != endpoints:
            yield f"names the host {host}: endpoints are in client/const.py only"
        elif not _VENDOR.fullmatch(host):
            yield f"names the host {host}, which is not the vendor's"


def _hosts(text: str) -> Iterator[str]:
    for match in _HOST.finditer(text):
        yield match["authority"] or match["bare"]


def _hosts_of_python(source: str) -> Iterator[str]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in _TEXTS:
                yield from _hosts(token.string)
    except tokenize.TokenError, SyntaxError:
        return  # another check says that this is no Python
