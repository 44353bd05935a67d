"""README.md and docs/: links, paths, tables, and what they quote of the user interface."""

from functools import cache
import json
from pathlib import Path
import re

from homeassistant.util import slugify
from homeassistant.util.yaml import parse_yaml
from jinja2 import Environment
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "custom_components" / "bticino_classe"
BLUEPRINTS = ROOT / "blueprints" / "automation" / "bticino_classe"
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (
        *(ROOT / "README.md", ROOT / "CHANGELOG.md"),
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "it").glob("*.md")),
    )
}
OF_OWNERS = (  # documents whose italics quote the user interface
    *("README.md", "docs/actions.md", "docs/automations.md", "docs/dashboards.md"),
    *("docs/entities.md", "docs/how_it_works.md", "docs/privacy.md", "docs/protocol.md"),
    *("docs/streams.md", "docs/troubleshooting.md"),
)
ITALIAN = {  # documents that exist in both languages
    "README.md": "docs/it/README.md",
    "docs/automations.md": "docs/it/automations.md",
    "docs/troubleshooting.md": "docs/it/troubleshooting.md",
}

SOUGHT = (  # what owners look for
    *("README.md#remove", "docs/privacy.md#a-separate-account", "docs/privacy.md#delete"),
    *("docs/automations.md#somebody-rings", "docs/automations.md#two-gates"),
    "docs/automations.md#notifications-on-iphone-and-android",
    "docs/entities.md#doors-with-homekit-alexa-google-and-assist",
    "docs/dashboards.md#open-a-door-while-you-talk",
    *(
        f"docs/troubleshooting.md#{each}"
        for each in (
            *("the-bell-does-not-ring", "it-rings-twice", "the-camera-is-busy"),
            *("there-is-no-picture", "there-is-no-talk-button", "browsers-and-apps"),
            *("homekit-frigate-go2rtc", "a-door-does-not-open", "network-hosts-and-ports"),
            *("home-assistant-asks-me-to-sign-in-again", "coming-from-another-integration"),
        )
    ),
)

# What the documents quote of Home Assistant, its apps, HACS and the vendor's app, and emphasis.
FOREIGN = frozenset(
    {
        *(
            "add",
            "add integration",
            "ignore",
            "automations & scenes",
            "counter",
            "create automation",
            "delete",
        ),
        *("tools", "actions", "devices & services", "disable debug logging"),
        *("disconnected", "doorbell rang", "download", "download diagnostics"),
        *("edit in yaml", "enable debug logging", "helpers", "import", "labs", "lock"),
        *("lock locked", "lock opened", "lock unlocked", "media", "preview", "re-import blueprint"),
        *("add custom repository", "install", "marketplace", "add from a github link"),
        *("connect github", "updates", "uninstall", "voice assistants", "expose"),
        *("reconfigure", "repairs", "restore", "run actions", "save", "settings", "start talking"),
        *("system", "system information", "three dots", "two-way audio", "unlock"),
        *("failed to start the webrtc stream", "custom repositories", "integration"),
        *("home + security", "door entry", "user management", "browser mod"),
        *("idle", "locked", "on", "streaming", "unavailable", "unlocked"),
        *("busy", "not", "not opened", "success"),
        *("dashboards", "add dashboard", "new dashboard from scratch", "raw configuration editor"),
        "done",  # on the tile of a door
        *("entities", "talk and open"),  # the latter in the dashboard to paste
        *("casa al mare", "posto esterno strada"),  # names in the simulated houses
    }
)
# The same in the Italian documents. Home Assistant leaves some of its texts in English.
FOREIGN_ITALIAN = frozenset(
    {
        *("abilita la registrazione di debug", "disabilita la registrazione di debug"),
        *("aggiornamenti", "aggiungi", "aggiungi da un collegamento github"),
        *("aggiungi integrazione", "aggiungi repository personalizzato", "aiutanti", "anteprima"),
        *("assistenti vocali", "automazioni e scenari", "azioni", "bloccato/a", "collega github"),
        *("contatore", "crea automazione", "disconnesso", "disinstalla", "dispositivi e servizi"),
        *("doorbell rang", "elimina", "esegui azioni", "esponi"),
        *("failed to start the webrtc stream", "ignora", "importa progetto", "impostazioni"),
        *("informazioni di sistema", "inizia a parlare", "installa", "integrazione", "laboratori"),
        *("marketplace", "modifica in yaml", "precaricare il flusso della telecamera"),
        *("reimporta il progetto", "repository personalizzati", "riconfigura", "riconfigurare"),
        *("riparazioni", "ripristina l'ultimo valore noto all'avvio di home assistant", "salva"),
        *("scarica", "scarica la diagnostica", "sistema", "strumenti", "tre puntini"),
        *("two-way audio", "home + security", "door entry", "browser mod"),
        *("blueprints", "non", "non aperta", "risposta non chiara"),
    }
)

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_ITALIC = re.compile(r"(?<![*\w])\*([^*\s][^*]*)\*(?![*\w])")
_QUOTED = re.compile(r'\*\*"([^"]+?)\.?"\*\*')
_SEPARATOR = re.compile(r"[…→·()]|\b\d+\b")
_LINK = re.compile(r"\]\((?!https?://|data:)([^)\s#]*)(?:#([^)\s]+))?\)", re.DOTALL)
_PATH = re.compile(r"`((?:\w[\w.-]*/)+[\w.*-]*|\w+\.(?:py|json|yaml|yml|md|sh))`")
_OF_READER = frozenset(
    ["configuration.yaml", "open_door.py", "safe.json", "simulator.py", "tokens.json", "wifi.py"]
)
_HEADING = re.compile(r"^(#+) .+$", re.MULTILINE)
_LIST_ITEM = re.compile(r"^( *)(?:-|\d+\.) ", re.MULTILINE)
_EXTERNAL = re.compile(r"\]\((https?://[^)\s]+)\)")
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TRANSLATED_KEYS = frozenset({"alias", "title", "message"})
_ROOTS = (ROOT, PACKAGE, PACKAGE / "translations")


def prose_of(text: str) -> str:
    """Return a document without its code blocks."""
    return _FENCE.sub("", text)


def broken_tables(text: str) -> list[str]:
    """Return rows that are not in a table, or that do not have as many cells as its head."""
    blocks = re.findall(r"(?:^\|.*\n?)+", prose_of(text), re.MULTILINE)
    return [row for block in blocks for row in _broken_rows(block.splitlines())]


def _broken_rows(rows: list[str]) -> list[str]:
    if len(rows) < 3 or not re.fullmatch(r"\|(:?-+:?\|)+", rows[1]):
        return rows
    return [row for row in rows if _cells(row) != _cells(rows[0])]


def _cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", _CODE.sub("", row)))


def dead_links(name: str, documents: dict[str, str]) -> list[str]:
    """Return the relative links of a document that lead nowhere, and those to no heading."""
    found = []
    for target, anchor in _LINK.findall(prose_of(documents[name])):
        path = str((ROOT / name).parent.joinpath(target).resolve().relative_to(ROOT))
        path = path if target else name
        if not (ROOT / path).exists() or (anchor and anchor not in _anchors(documents[path])):
            found.append(f"{target}#{anchor}")
    return found


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose_of(text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def missing_paths(text: str) -> list[str]:
    """Return the paths that a document names and the repository does not have."""
    named = {path for path in _PATH.findall(prose_of(text)) if path not in _OF_READER}
    return sorted(path for path in named if not any(_exists(root, path) for root in _ROOTS))


def _exists(root: Path, path: str) -> bool:
    return any(root.glob(path.rstrip("/")))


def unknown_quotes(text: str, known: str, foreign: frozenset[str] = FOREIGN) -> list[str]:
    """Return what a document quotes and neither we nor Home Assistant show.

    Quotes are italic, or in bold with quotation marks; "…", "→" and numbers separate their parts.
    """
    text = _CODE.sub("", prose_of(text))
    quotes = {" ".join(quote.split()) for quote in _QUOTED.findall(text) + _ITALIC.findall(text)}
    parts = {part.strip(" .").lower() for quote in quotes for part in _SEPARATOR.split(quote)}
    return sorted(part for part in parts - foreign if part and not _is_shown(part, known))


def _is_shown(part: str, known: str) -> bool:
    """Whether several words are part of a shown text, or a single word is one."""
    return part in known if " " in part else f"\n{part}\n" in known


def shown_texts(language: str = "en") -> str:
    """Return everything that the integration and its blueprints show, one text per line."""
    file = PACKAGE / "translations" / f"{language}.json"
    translations = json.loads(file.read_text(encoding="utf-8"))
    blueprints = [path.read_text(encoding="utf-8") for path in BLUEPRINTS.glob("*.yaml")]
    trees = [translations, *(parse_yaml(text.replace("!input", "")) for text in blueprints)]
    return "\n".join(["", *_texts(trees), ""]).lower()


def _texts(tree: object) -> list[str]:
    if isinstance(tree, dict):
        return [text for key, value in tree.items() for text in (str(key), *_texts(value))]
    if isinstance(tree, list):
        return [text for value in tree for text in _texts(value)]
    return [re.sub(r"\{\w+\}", "", str(tree)).strip(" .")]


def structure_of(text: str) -> dict[str, list[object]]:
    """Return what a document and its translation have in common."""
    prose = prose_of(text)
    return {
        "headings": [len(level) for level in _HEADING.findall(prose)],
        "rows": [_cells(row) for row in prose.splitlines() if row.startswith("|")],
        "list items": [len(indent) for indent in _LIST_ITEM.findall(prose)],
        "notes": re.findall(r"^> \[!(\w+)\]$", prose, re.MULTILINE),
        "messages": ["" for _ in _QUOTED.findall(prose)],
        "external links": sorted(_EXTERNAL.findall(prose)),
        "yaml": [_untranslated(parse_yaml(block)) for block in _YAML.findall(text)],
    }


def _untranslated(tree: object) -> object:
    """Replace the texts of an example that are translated, and the names in ids of entities."""
    if isinstance(tree, dict):
        return {
            key: ... if key in _TRANSLATED_KEYS else _untranslated(value)
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [_untranslated(value) for value in tree]
    return _english_id(tree) if isinstance(tree, str) else tree


def _english_id(text: str) -> str:
    """Return the id that an entity of an Italian house has in an English one."""
    domain, _, name = text.partition(".")
    for italian, english in _names_in_ids(domain).items():
        if name.endswith(f"_{italian}"):
            return f"{domain}.{name.removesuffix(italian)}{english}"
    return text


@cache
def _names_in_ids(domain: str) -> dict[str, str]:
    """Return what ids of Italian entities end in, and what it is in English."""
    italian, english = (_names(domain, language) for language in ("it", "en"))
    return {slugify(name): slugify(english[key]) for key, name in italian.items()}


def _names(domain: str, language: str) -> dict[str, str]:
    file = PACKAGE / "translations" / f"{language}.json"
    entities = json.loads(file.read_text(encoding="utf-8"))["entity"].get(domain, {})
    return {key: texts["name"] for key, texts in entities.items() if "name" in texts}


def links_of(name: str) -> list[str]:
    """Return the files that the relative links of a document lead to, in their order."""
    targets = [target for target, _ in _LINK.findall(prose_of(DOCUMENTS[name]))]
    paths = [(ROOT / name).parent.joinpath(target).resolve() for target in targets]
    return [str(path.relative_to(ROOT)) if path.is_file() else name for path in paths]


def targets_of(name: str) -> set[str]:
    """Return where the relative links of a document lead, as a file and a heading."""
    targets = set()
    for target, anchor in _LINK.findall(prose_of(DOCUMENTS[name])):
        path = (ROOT / name).parent.joinpath(target).resolve() if target else ROOT / name
        targets.add(f"{path.relative_to(ROOT)}#{anchor}".rstrip("#"))
    return targets


def two_clicks_from(name: str) -> set[str]:
    """Return where one link leads, or two."""
    first = targets_of(name)
    pages = {target.partition("#")[0] for target in first} & DOCUMENTS.keys()
    return first.union(*(targets_of(page) for page in pages))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tables(name: str) -> None:
    """Every row belongs to a table and fits it."""
    assert broken_tables(DOCUMENTS[name]) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links(name: str) -> None:
    """Every relative link leads to a file, and every anchor to a heading."""
    assert dead_links(name, DOCUMENTS) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths(name: str) -> None:
    """Every file and folder that is named exists."""
    assert missing_paths(DOCUMENTS[name]) == []


@pytest.mark.parametrize("name", OF_OWNERS)
def test_quotes(name: str) -> None:
    """Every quoted message, name and menu is one that a person sees."""
    assert unknown_quotes(DOCUMENTS[name], shown_texts()) == []


@pytest.mark.parametrize("name", ITALIAN.values())
def test_italian_quotes(name: str) -> None:
    """An Italian document quotes what the interface shows in Italian."""
    assert unknown_quotes(DOCUMENTS[name], shown_texts("it"), FOREIGN_ITALIAN) == []


def test_every_italian_document_has_an_english_one() -> None:
    """Every file in docs/it is compared with its English document."""
    assert sorted(ITALIAN.values()) == [name for name in DOCUMENTS if name.startswith("docs/it/")]


@pytest.mark.parametrize(("english", "italian"), ITALIAN.items())
def test_italian_documents_have_the_structure_of_the_english(english: str, italian: str) -> None:
    """A change of one language that the other needs too is noticed."""
    assert structure_of(DOCUMENTS[italian]) == structure_of(DOCUMENTS[english])


@pytest.mark.parametrize("name", ITALIAN.values())
def test_templates_of_italian_examples(name: str) -> None:
    """The translated texts of the examples are valid templates."""
    for block in _YAML.findall(DOCUMENTS[name]):
        Environment(autoescape=True).parse(block)


@pytest.mark.parametrize(("english", "italian"), ITALIAN.items())
def test_documents_link_their_other_language(english: str, italian: str) -> None:
    """The line below the title leads to it; the other links stay in a language where they can."""
    other, *links = links_of(english)
    assert other == italian
    other, *italian_links = links_of(italian)
    assert other == english
    assert sorted(italian_links) == sorted(ITALIAN.get(link, link) for link in links)


@pytest.mark.parametrize("target", SOUGHT)
def test_found_in_two_clicks(target: str) -> None:
    """A link in README.md leads there, or one on a page that README.md links."""
    assert target in two_clicks_from("README.md")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("| a | b |\n|---|---|\n| c | d |\n", []),
        ("| a | b |\n|---|---|\n| c | `d|e` |\n", []),
        ("| a | b |\n|---|---|\n| c |\n", ["| c |"]),
        ("| a |\n|---|\n| b |\n\nText.\n| c |\n", ["| c |"]),
        ("```\n| a |\n```\n", []),
    ],
)
def test_broken_tables_are_found(text: str, rows: list[str]) -> None:
    """Also a row that a paragraph separates from its table."""
    assert broken_tables(text) == rows


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a](docs/entities.md) [b](docs/entities.md#home) [c](#some-heading)", []),
        ("[a](docs/none.md)", ["docs/none.md#"]),
        ("[a](docs/entities.md#none)", ["docs/entities.md#none"]),
        ("[a](#none) ![b](docs/images/none.png)", ["#none", "docs/images/none.png#"]),
    ],
)
def test_dead_links_are_found(text: str, found: list[str]) -> None:
    """Links to files, to headings and to images."""
    documents = DOCUMENTS | {"README.md": f"# Some heading\n\n{text}\n"}
    assert dead_links("README.md", documents) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("`tests/integration/test_lock.py` `scripts/test` `calls/events.py` `en.json`", []),
        ("`tests/integration/test_nothing.py`", ["tests/integration/test_nothing.py"]),
        ("`scripts/nothing` `nothing.py`", ["nothing.py", "scripts/nothing"]),
        ("`.storage/file` `configuration.yaml`", []),
    ],
)
def test_missing_paths_are_found(text: str, found: list[str]) -> None:
    """Relative to the repository or to the integration."""
    assert missing_paths(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("*Missed calls*, *The command … was not sent.*, *Settings → Repairs*, `*a*`", []),
        ('**"This account is already set up."** **bold**', []),
        ('**"No such message."**', ["no such message"]),
        ("*No such name*, *The command … was lost*", ["no such name", "was lost"]),
        ("*Settings → Nothing → System*", ["nothing"]),
    ],
)
def test_unknown_quotes_are_found(text: str, found: list[str]) -> None:
    """Names, messages and menus."""
    assert unknown_quotes(text, shown_texts()) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            '*Chiamate perse*, *Impostazioni → Salva*, **"Questo account è già configurato."**',
            [],
        ),
        ("*Bell connection*, *Settings → Repairs*", ["bell connection", "repairs", "settings"]),
    ],
)
def test_unknown_italian_quotes_are_found(text: str, found: list[str]) -> None:
    """Also what only the English interface shows."""
    assert unknown_quotes(text, shown_texts("it"), FOREIGN_ITALIAN) == found


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("# A\n\n### B\n", "headings"),
        ("# A\n\n## B\n\n| a | b |\n|---|---|\n", "rows"),
        ("# A\n\n## B\n\n- a\n", "list items"),
        ("# A\n\n## B\n\n> [!NOTE]\n> a\n", "notes"),
        ('# A\n\n## B\n\n**"Message."**\n', "messages"),
        ("# A\n\n## B\n\n[a](https://example.com)\n", "external links"),
        ("# A\n\n## B\n\n```yaml\nalias: a\nmode: single\n```\n", "yaml"),
    ],
)
def test_differences_of_structure_are_found(text: str, part: str) -> None:
    """One document has something that the other has not."""
    other = structure_of("# A\n\n## B\n")
    assert [name for name, value in structure_of(text).items() if value != other[name]] == [part]


def test_texts_of_examples_may_differ() -> None:
    """Nothing else of an example may."""
    example = (
        "```yaml\nalias: {alias}\nactions:\n  - entity_id: {entity}\n    message: {alias}\n```\n"
    )
    english = structure_of(example.format(alias="Hang up", entity="lock.cancello"))
    assert english == structure_of(example.format(alias="Riaggancia", entity="lock.cancello"))
    assert english != structure_of(example.format(alias="Hang up", entity="lock.portone"))


def test_ids_of_examples_are_in_the_language_of_the_house() -> None:
    """Home Assistant forms them from the translated names."""
    english, italian, other = (
        structure_of(f"```yaml\nentity_id: event.strada_{name}\n```\n")
        for name in ("doorbell", "campanello", "chiamata")
    )
    assert english == italian
    assert english != other
