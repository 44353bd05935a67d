"""Consistency checks of the repository that neither hassfest nor the HACS action makes.

Run from the root: .venv/bin/python -m scripts.lib.project_checks.
"""

from dataclasses import dataclass
from importlib.metadata import distribution
import json
from pathlib import Path
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from annotatedyaml import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

DOMAIN: Final = "bticino_classe"
PACKAGE: Final = f"custom_components/{DOMAIN}"
MANIFEST: Final = f"{PACKAGE}/manifest.json"
SERVICES: Final = f"{PACKAGE}/services.yaml"
ICONS: Final = f"{PACKAGE}/icons.json"
QUALITY_SCALE: Final = f"{PACKAGE}/quality_scale.yaml"
BLUEPRINTS: Final = "blueprints"
TRANSLATIONS: Final = f"{PACKAGE}/translations"
ENGLISH: Final = f"{TRANSLATIONS}/en.json"
ENDPOINTS: Final = f"{PACKAGE}/client/const.py"
ARCHIVE: Final = f"{DOMAIN}.zip"  # attached to a release by release.yml

type Tree = dict[str, Any]


def find_problems(root: Path) -> list[str]:
    """Return the problems of the repository at `root`, each as "file: problem"."""
    checks = (
        check_translations,
        check_blueprints,
        check_keys,
        check_services_and_icons,
        check_hosts,
        check_release,
        check_quality_scale,
    )
    return [problem for check in checks for problem in check(Project(root))]


@dataclass(frozen=True, slots=True)
class Project:
    """A repository; files go by their paths relative to its root."""

    root: Path

    def read(self, name: str) -> str:
        """Return the text of a file."""
        return (self.root / name).read_text("utf-8")

    def json(self, name: str) -> Tree:
        """Return the content of a JSON file; exit if it is malformed or repeats a key."""
        try:
            content: Tree = json.loads(self.read(name), object_pairs_hook=_unique)
        except ValueError as err:
            raise SystemExit(f"{name}: {err}") from err
        return content

    def yaml(self, name: str) -> Tree:
        """Return the content of a YAML file."""
        content = parse_yaml(self.read(name))
        if not isinstance(content, dict):
            raise SystemExit(f"{name}: no mapping")
        return content

    def find(self, folder: str, *suffixes: str) -> dict[str, str]:
        """Return the texts of all files in a folder and below that have one of the suffixes."""
        paths = sorted(p for p in (self.root / folder).rglob("*") if p.suffix in suffixes)
        return {str(path.relative_to(self.root)): path.read_text("utf-8") for path in paths}


def _unique(pairs: list[tuple[str, Any]]) -> Tree:
    tree: Tree = {}
    for key, value in pairs:
        if key in tree:
            raise ValueError(f"repeats the key {key!r}")
        tree[key] = value
    return tree


def _flatten(tree: Tree, prefix: str = "") -> dict[str, str]:
    """Return the texts of nested mappings by their dotted paths."""
    texts: dict[str, str] = {}
    for key, value in tree.items():
        is_tree = isinstance(value, dict)
        texts |= _flatten(value, f"{prefix}{key}.") if is_tree else {f"{prefix}{key}": value}
    return texts


# Languages: hassfest reads English only, and only after a push.

LANGUAGES: Final = frozenset(
    ["ca", "cs", "de", "el", "en", "es", "fr", "it", "nl", "pl", "pt", "pt-BR", "ro", "tr"]
)
SAME_AS_ENGLISH: Final = frozenset({"BTicino Classe", "E-mail", "Email", "Password", "Wi-Fi"})
# By language: what else reads as in English.
ALSO_SAME: Final = {
    "de": {"April {year}", "August {year}", "Code", "November {year}", "September {year}"},
    "fr": {"Code", "Options"},
    "nl": {
        *("April {year}", "Camera", "Close-up", "Code", "December {year}", "Intercom online"),
        *("November {year}", "September {year}"),
    },
    "ro": {"August {year}"},
}
MAX_NAME_LENGTH: Final = 32  # characters, in one line of a phone
_NAME: Final = re.compile(r"(entity|device)\..*\.name")
_BAD_TEXT: Final = re.compile(r"^$|^\s|\s$|</?[a-z]|://|\bwww\.|'\{\w+\}'|\[%", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\{\w+\}|[{}]")
# A noun after a number has up to four forms, and our texts have one: write "12 s" or "Calls: 12".
_COUNTED_NOUN: Final = re.compile(
    r"\{(minutes|seconds|days|calls|pictures|count)\}[ \u00a0](?!(s|min|MB)\b)\w"
)


def check_translations(project: Project) -> Iterator[str]:
    """Check that no language and no text is missing, and each text, also against English."""
    english = _flatten(project.json(ENGLISH))
    found = project.find(TRANSLATIONS, ".json")
    for language in sorted(LANGUAGES - {Path(name).stem for name in found}):
        yield f"{TRANSLATIONS}/{language}.json is missing"
    for name in found:
        texts = _flatten(project.json(name))
        yield from (f"{name}: {fault}" for fault in _wrong(english, texts, Path(name).stem))
        yield from (f"{name}: {fault}" for fault in _inconsistent(english, texts))


def _wrong(english: dict[str, str], texts: dict[str, str], language: str) -> Iterator[str]:
    """Yield what is wrong with the texts of one language, each by its key."""
    for key, text in texts.items():
        yield from (f"{key} {fault}" for fault in _faults(key, text, english))
    yield from (f"{key} is missing" for key in english if key not in texts)
    if language != "en":
        yield from (f"{key} is not translated" for key in _untranslated(english, texts, language))


def _faults(key: str, text: str, english: dict[str, str]) -> Iterator[str]:
    if _BAD_TEXT.search(text):
        yield "is empty or has spaces around it, HTML, a URL or '{name}'"
    if key not in english:
        yield "is not in English"
    elif set(_PLACEHOLDER.findall(text)) != set(_PLACEHOLDER.findall(english[key])):
        yield "has other placeholders than in English"
    if _COUNTED_NOUN.search(text):
        yield "has a word after a number, which would need plural forms"
    if _NAME.fullmatch(key) and len(text) > MAX_NAME_LENGTH:
        yield f"has more than {MAX_NAME_LENGTH} characters"


def _untranslated(english: dict[str, str], texts: dict[str, str], language: str) -> Iterator[str]:
    same = SAME_AS_ENGLISH | ALSO_SAME.get(language, set())
    for key, text in texts.items():
        has_words = re.search(r"\w", _PLACEHOLDER.sub("", text))
        if text == english.get(key) and has_words and text not in same:
            yield key


def _inconsistent(english: dict[str, str], texts: dict[str, str]) -> Iterator[str]:
    """Yield where one English text has two translations: one thing has one word.

    A name is a noun and a state may be a verb, and actions have words of their own.
    """
    found: dict[tuple[str, bool, str], str] = {}
    for key in english.keys() & texts.keys():
        kind = (key.partition(".")[0], key.endswith(".name"), english[key])
        if found.setdefault(kind, texts[key]) != texts[key]:
            yield f"{english[key]!r} is both {found[kind]!r} and {texts[key]!r}"


# Blueprints: Home Assistant does not translate them. Each has a table of its texts.

MAX_BUTTON_LENGTH: Final = 10  # characters beside the door's name; iPhones show about 20
_TEXT_USE: Final = re.compile(r"\btext\.(\w+)")
type Words = dict[tuple[str, str], str]  # by language and English text


def check_blueprints(project: Project) -> Iterator[str]:
    """Check that blueprints have all texts in all languages, with the words of the translations."""
    words = _names(project)
    for name, content in project.find(BLUEPRINTS, ".yaml").items():
        blueprint = project.yaml(name)
        used = {*_TEXT_USE.findall(content), *next(_values(blueprint, "own"), {})}
        table: dict[str, Any] = next(
            (each for each in _values(blueprint, "texts") if "en" in each), {"en": {}}
        )
        faults = [f"en: {key} is missing" for key in sorted(used - table["en"].keys())]
        faults += [f"en: {key} is not used" for key in sorted(table["en"].keys() - used)]
        if used:
            faults += _unavailable(table, next(_values(blueprint, "languages"), []))
            faults += _mistranslated(table, words)
        yield from (f"{name}: {fault}" for fault in faults)


def _names(project: Project) -> Words:
    """Return the names of entities in each language."""
    found = project.find(TRANSLATIONS, ".json")
    texts = {Path(name).stem: _flatten(project.json(name)) for name in found}
    return {
        (language, text): by_key[key]
        for key, text in texts["en"].items()
        for language, by_key in texts.items()
        if _NAME.fullmatch(key) and key in by_key
    }


def _values(tree: object, key: str) -> Iterator[Any]:
    """Yield what is under a key anywhere in nested mappings and lists."""
    if isinstance(tree, dict) and key in tree:
        yield tree[key]
    if isinstance(tree, dict | list):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from _values(value, key)


def _unavailable(table: dict[str, Any], choices: list[str]) -> Iterator[str]:
    yield from (f"{language} cannot be chosen" for language in sorted(LANGUAGES - {*choices}))
    yield from (f"{language} has no texts" for language in sorted({*choices} - table.keys()))


def _mistranslated(table: dict[str, dict[str, str]], words: Words) -> Iterator[str]:
    """Yield what is wrong with a table of texts; `words` gets its words."""
    english = table["en"]
    for language, texts in table.items():
        yield from (f"{language}: {fault}" for fault in _wrong(english, texts, language))
        for key in english.keys() & texts.keys():
            word = words.setdefault((language, english[key]), texts[key])
            if texts[key] != word:
                yield f"{language}: {english[key]!r} is both {word!r} and {texts[key]!r}"
        if len(_PLACEHOLDER.sub("", texts.get("button", ""))) > MAX_BUTTON_LENGTH:
            yield f"{language}: button has more than {MAX_BUTTON_LENGTH} characters"


# Translation keys: hassfest does not look for them in the code.

_USES: Final = (  # how the code names a key, and where en.json has to have it
    (r'translation_domain=\w+,\s*translation_key="(\w+)"', r"exceptions"),
    (r'\braise (?:\w+\.)*[a-z_]\w*\("([a-z_]+)"', r"exceptions"),
    (r'\(\w+Error, "(\w+)"\)', r"exceptions"),
    (r'_attr_translation_key = "(\w+)"', r"entity\.\w+"),
    (r'\btranslation_key="(\w+)"', r"(entity\.\w+|exceptions|issues|device|selector)"),
    (r'\bstep_id="(\w+)"', r"(config|options)\.step"),
    (r'_abort\(\s*reason="(\w+)"', r"(config|options|issues\.\w+\.fix_flow)\.abort"),
    (r'(?:"base":|\berrors\[[^]]+\] =) "(\w+)"', r"(config|options)\.error"),
)
# Home Assistant itself names steps and some reasons to abort.
_USED: Final = r"^((?:entity\.\w+|exceptions|issues|device|(?:config|options)\.error)\.(\w+))$"


def check_keys(project: Project) -> Iterator[str]:
    """Check that keys in the code are in en.json, and those of en.json in the code."""
    code = project.find(PACKAGE, ".py")
    parts = [path.split(".") for path in _flatten(project.json(ENGLISH))]
    paths = {".".join(path[:end]) for path in parts for end in range(1, len(path) + 1)}
    english = "\n".join(sorted(paths))
    for name, text in code.items():
        for pattern, heading in _USES:
            for key in re.findall(pattern, text):
                if not re.search(rf"^{heading}\.{key}$", english, re.MULTILINE):
                    yield f"{name}: {key} is not in en.json under {heading}"
    strings = set(re.findall(r'"(\w+)"', "".join(code.values())))
    for path, key in re.findall(_USED, english, re.MULTILINE):
        if key not in strings:
            yield f"{ENGLISH}: {path} is not used in the code"


def check_services_and_icons(project: Project) -> Iterator[str]:
    """Check both files against en.json, which hassfest does for core only."""
    actions, icons = project.yaml(SERVICES), project.json(ICONS)
    english = project.json(ENGLISH)
    for name in sorted(_fields(actions) ^ _fields(english.get("services", {}))):
        yield f"{SERVICES}: {name} is not both here and in en.json"
    for action in sorted(actions.keys() ^ icons.get("services", {}).keys()):
        yield f"{ICONS}: services.{action} is missing or is no action"
    for platform, named in icons.get("entity", {}).items():
        for key in sorted(named.keys() - english.get("entity", {}).get(platform, {}).keys()):
            yield f"{ICONS}: entity.{platform}.{key} is not in en.json"


def _fields(actions: Tree) -> set[str]:
    fields = {name: action.get("fields", {}) for name, action in actions.items()}
    return {*actions, *(f"{name}.{field}" for name in fields for field in fields[name])}


# Host names: the vendor's, in client/const.py only.

_HOST: Final = re.compile(
    r"""\b[a-z][a-z0-9+]*://([^\s/"'<>`{}]+)
    |(?<![\w.@/-])((?:[a-z0-9-]+\.)+(?:com|dev|eu|fr|io|it|net|org))(?![\w.(-])""",
    re.IGNORECASE | re.VERBOSE,
)
_VENDOR: Final = re.compile(r"([a-z0-9-]+\.)*netatmo\.(net|com)", re.IGNORECASE)


def check_hosts(project: Project) -> Iterator[str]:
    """Check all texts but the manifest, whose URLs are the project's own."""
    for name, text in project.find(PACKAGE, ".py", ".json", ".yaml").items():
        hosts = {"".join(found) for found in _HOST.findall(text)} if name != MANIFEST else set()
        for host in sorted(hosts):
            if name != ENDPOINTS:
                yield f"{name}: {host} is a host name outside client/const.py"
            elif not _VENDOR.fullmatch(host):
                yield f"{name}: {host} is not a host of the vendor"


def check_release(project: Project) -> Iterator[str]:
    """Check versions that have to agree; archive.sh compares the tag when there is one."""
    released = project.json(MANIFEST).get("version")
    heading = re.search(r"^## (\S+)", project.read("CHANGELOG.md"), re.MULTILINE)
    if heading is None or heading[1] != released:
        yield f"CHANGELOG.md: the first heading is not of version {released}, the manifest's"
    hacs = project.json("hacs.json")
    if hacs.get("filename") != ARCHIVE:
        yield f"hacs.json: filename is not {ARCHIVE}"
    tested = re.sub(r"\.\d+$", ".0", distribution("homeassistant").version)
    if hacs.get("homeassistant") != tested:
        yield f"hacs.json: homeassistant is not {tested}, which the tests run on"
    for name, text in project.find(BLUEPRINTS, ".yaml").items():
        if f"min_version: {tested}\n" not in text:
            yield f"{name}: min_version is not {tested}, which the tests run on"


# Quality scale: hassfest reads core's files only.

_EVIDENCE: Final = {  # what the code has to contain if the rule is done
    "action-setup": r"^async def async_setup\(",
    "config-entry-unloading": r"^async def async_unload_entry\(",
    "config-flow": r"^class \w+\(ConfigFlow, domain=DOMAIN\)",
    "diagnostics": r"^async def async_get_config_entry_diagnostics\(",
    "discovery": r"\bdef async_step_dhcp\(",
    "entity-unique-id": r"\b_attr_unique_id = ",
    "has-entity-name": r"\b_attr_has_entity_name = True",
    "inject-websession": r"\basync_get_clientsession\(",
    "reauthentication-flow": r"\bdef async_step_reauth_confirm\(",
    "reconfiguration-flow": r"\bdef async_step_reconfigure\(",
    "repair-issues": r"\basync_create_issue\(",
    "runtime-data": r"\bentry\.runtime_data = ",
    "test-before-setup": r"\basync_config_entry_first_refresh\(|\bConfigEntryNotReady\(",
    "unique-config-entry": r"\b_abort_if_unique_id_configured\(",
}
_IN_MANIFEST: Final = {"discovery": "dhcp", "integration-owner": "codeowners"}
_COUNTEREVIDENCE: Final = {  # and what no file of it may contain
    "exception-translations": r"\b(HomeAssistantError|ServiceValidationError|UpdateFailed"
    r"|BrowseError|ConfigEntry(AuthFailed|Error|NotReady))\((?![^()]*\btranslation_domain=)",
    "icon-translations": r"\b_attr_icon\b|\bdef icon\(",
}


def check_quality_scale(project: Project) -> Iterator[str]:
    """Check that every rule has a status, reasons are given, and "done" is not refuted."""
    rules = project.yaml(QUALITY_SCALE)["rules"]
    answers = {rule: a if isinstance(a, dict) else {"status": a} for rule, a in rules.items()}
    for rule in sorted(answers.keys() ^ known_rules()):
        yield f"{QUALITY_SCALE}: {rule} is {'not a rule' if rule in answers else 'missing'}"
    done = {rule for rule, answer in answers.items() if answer["status"] == "done"}
    for rule in sorted(answers.keys() - done):
        if answers[rule]["status"] not in {"todo", "exempt"} or not answers[rule].get("comment"):
            yield f"{QUALITY_SCALE}: {rule} is neither done, nor todo or exempt with a comment"
    for rule, reason in _refuted(project):
        if rule in done:
            yield f"{QUALITY_SCALE}: {rule} is not done: {reason}"


def known_rules() -> set[str]:
    """Return the rules; each of core's integrations lists all of them."""
    core = Path(str(distribution("homeassistant").locate_file("homeassistant/components")))
    return set(Project(core).yaml(str(next(core.glob("*/quality_scale.yaml"))))["rules"])


def _refuted(project: Project) -> Iterator[tuple[str, str]]:
    code = project.find(PACKAGE, ".py")
    for rule, pattern in _EVIDENCE.items():
        if not any(re.search(pattern, text, re.MULTILINE) for text in code.values()):
            yield rule, f"nothing in the code matches {pattern}"
    for name, text in code.items():
        for rule, pattern in _COUNTEREVIDENCE.items():
            if match := re.search(pattern, text):
                yield rule, f"{name} has {match[0]}"
        is_platform = "\nasync def async_setup_entry(" in text and not name.endswith("__init__.py")
        if is_platform and not re.search(r"^PARALLEL_UPDATES = ", text, re.MULTILINE):
            yield "parallel-updates", f"{name} has no PARALLEL_UPDATES"
    if "\nstrict = true\n" not in project.read("pyproject.toml"):
        yield "strict-typing", "mypy is not strict in pyproject.toml"
    manifest = project.json(MANIFEST)
    missing = {rule: key for rule, key in _IN_MANIFEST.items() if not manifest.get(key)}
    yield from ((rule, f"{key} is empty in manifest.json") for rule, key in missing.items())
    for field in sorted(_undescribed(project.json(ENGLISH))):
        yield "config-flow", f"{field} has no data_description in en.json"


def _undescribed(english: Tree) -> set[str]:
    return {
        f"{flow}.{step}.{field}"
        for flow in ("config", "options")
        for step, content in english.get(flow, {}).get("step", {}).items()
        for field in content.get("data", {}).keys() - content.get("data_description", {}).keys()
    }


if __name__ == "__main__":
    sys.exit("\n".join(find_problems(Path.cwd())) or None)
