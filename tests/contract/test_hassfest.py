"""The checks of scripts/lib/hassfest: silent on a good repository, loud on each broken copy."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.lib.hassfest import check_all
from scripts.lib.hassfest.__main__ import main
from scripts.lib.hassfest.quality import RULES

from . import sample
from .sample import ENGLISH, ITALIAN, PACKAGE, Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.lib.hassfest.project import Json

ROOT = Path(__file__).parents[2]

# A path into a JSON file, the value to put there, and what has to be found.
type Case = tuple[str, object, str]

GONE = object()

MANIFEST_CASES: tuple[Case, ...] = (
    ("iot_class", GONE, "needs the key iot_class"),
    ("version", GONE, "needs the key version"),
    ("quality_scale", "gold", "quality_scale has no effect"),
    ("zzz", 1, "zzz is not a known key"),
    ("after_dependencies", [], "the order of keys"),
    ("domain", "bticino", "domain has to be bticino_classe"),
    ("codeowners", "@me", "codeowners has to be a list"),
    ("name", 7, "name has to be a text"),
    ("iot_class", "cloud", "iot_class is one of"),
    ("integration_type", "app", "integration_type is one of"),
    ("version", "v1", "version has to be a semantic version"),
    ("version", "01.2.3", "version has to be a semantic version"),
    ("documentation", "http://example.com", "documentation has to be an https address"),
    ("issue_tracker", "https://example.com", "issue_tracker has to be the issues page"),
    ("requirements", ["AIOHTTP==3.9"], "requirements must not name aiohttp"),
    ("requirements", ["webrtc_models>=1"], "requirements must not name webrtc-models"),
    ("config_flow", False, "config_flow is true exactly when"),
)
HACS_CASES: tuple[Case, ...] = (
    ("name", GONE, "needs the key name"),
    ("domains", ["lock"], "domains is not a known key"),
    ("zip_release", "yes", "zip_release has a value of the wrong type"),
    ("homeassistant", "2026.9.0", "homeassistant has to be 2026.10.0"),
    ("filename", "other.zip", "filename has to be bticino_classe.zip"),
    ("content_in_root", True, "content_in_root must not be set"),
)
USER = "config/step/user"
ENGLISH_CASES: tuple[Case, ...] = (
    ("state", {}, "state is not a known key"),
    ("config/step", GONE, "config needs the key step"),
    ("config/error", "x", "config.error has to be a mapping"),
    ("config/step/user/titles", "x", "config.step.user.titles is not a known key"),
    ("config/error/cannot_connect", 1, "config.error.cannot_connect has to be a text"),
    ("entity/lock/_door", {}, "entity.lock._door is no valid key"),
    ("exceptions/too_late/message", GONE, "exceptions.too_late needs the key message"),
    (f"{USER}/title", "See https://example.com", "holds an address"),
    (f"{USER}/title", "Sign in <b>now</b>", "holds HTML"),
    (f"{USER}/title", " Sign in", "begins or ends with a space"),
    (f"{USER}/title", "", "is empty"),
    (f"{USER}/title", "For '{name}'", "placeholder in single quotes"),
    (f"{USER}/title", "[%key:common::x%]", "holds a reference"),
    (f"{USER}/title", "For {name", "has broken braces"),
    (f"{USER}/title", "For {the name}", "placeholder of no valid name"),
    ("entity/lock/door/state/ajar", "Ajar {x}", "placeholder where none is filled in"),
    (f"{USER}/data_description/password", GONE, "data.password has no data_description"),
    (f"{USER}/data/password", GONE, "data_description.password describes no field"),
    (
        f"{USER}/sections",
        {"more": {"data": {"pin": "PIN"}}},
        "sections.more.data.pin has no data_description",
    ),
    ("exceptions/never", {"message": "Never."}, "exceptions.never is used nowhere"),
    ("services/knock", {"name": "Knock", "description": "Knocks."}, "knock is translated"),
    ("services/ring/fields/volume", GONE, "ring: the field volume has no translation"),
    (
        "services/ring/fields/tone",
        {"name": "Tone", "description": "Which."},
        "ring: the field tone is translated only",
    ),
    ("services/ring", GONE, "ring has no translation in en.json"),
    ("entity/lock/door", GONE, "icons.json: entity.lock.door has no translation"),
)
ITALIAN_CASES: tuple[Case, ...] = (
    ("config/error/cannot_connect", GONE, "config.error.cannot_connect is missing"),
    ("config/error/other", "Altro.", "config.error.other is unknown to en.json"),
    ("exceptions/too_late/message", "In ritardo.", "message has other placeholders"),
    ("exceptions/too_late/message", "Too late by {seconds} s.", "is the same as in English"),
)
ICON_CASES: tuple[Case, ...] = (
    ("entity/lock/door/default", "hass:door", "not mdi: and a name"),
    ("entity/lock/door/default", "mdi:Door", "not mdi: and a name"),
    ("entity/lock/gate", {"default": "mdi:gate"}, "entity.lock.gate has no translation"),
    ("entity/lock/door/icon", "mdi:door", "entity.lock.door.icon is not a known key"),
    ("entity/lock/door/state/open", "mdi:door", "is the same as the default"),
    ("services/ring", GONE, "ring has no icon"),
    ("services/knock", {"service": "mdi:hand"}, "services.knock has no translation"),
    ("entities", {}, "entities is not a known key"),
)
JSON_CASES = [
    *((PACKAGE / "manifest.json", *case) for case in MANIFEST_CASES),
    *((Path("hacs.json"), *case) for case in HACS_CASES),
    *((ENGLISH, *case) for case in ENGLISH_CASES),
    *((ITALIAN, *case) for case in ITALIAN_CASES),
    *((PACKAGE / "icons.json", *case) for case in ICON_CASES),
]

FLOW = PACKAGE / "config_flow.py"
LOCK = PACKAGE / "lock.py"
TEXT_CASES = (
    (PACKAGE / "manifest.json", "{", "manifest.json: is not valid JSON"),
    (PACKAGE / "icons.json", '{"entity": {}, "entity": {}}', "the key 'entity' appears twice"),
    (ENGLISH, "[]", "en.json: does not hold a mapping"),
    (PACKAGE / "services.yaml", "ring: [", "services.yaml: is not valid YAML"),
    (PACKAGE / "quality_scale.yaml", "brands: done", "holds one mapping, rules"),
    (Path("CHANGELOG.md"), "## 0.2.0\n\n## 0.1.0\n", "the newest heading is 0.2.0"),
    (LOCK, "def", "lock.py: is not valid Python"),
    (LOCK, 'A = "wss://push.example.com/ws"', "names the host push.example.com"),
    (LOCK, "# as app.netatmo.net does", "names the host app.netatmo.net"),
    (LOCK, 'A = f"{x} at example.org"', "names the host example.org"),
    (PACKAGE / "client/const.py", 'A = "https://evil.example/"', "which is not the vendor's"),
    (PACKAGE / "client/const.py", 'A = "https://netatmo.net.example/"', "not the vendor's"),
    (
        LOCK,
        'class A:\n _attr_translation_key = "gate"',
        "'gate' is not in en.json under entity.lock",
    ),
    (PACKAGE / "entity.py", '_attr_translation_key = "gate"', "under entity.*"),
    (LOCK, 'LockEntityDescription(key="a", translation_key="gate")', "under entity.lock"),
    (LOCK, 'E(translation_domain=D, translation_key="too_soon")', "under exceptions"),
    (LOCK, 'K = "b"\nE(translation_domain=D, translation_key=K)', "line 2: 'b'"),
    (LOCK, 'E(translation_domain=D, translation_key="a" if x else "b")', "'b' is not in"),
    (LOCK, 'ir.async_create_issue(translation_key="broken")', "under issues"),
    (LOCK, 'SelectSelectorConfig(translation_key="broken")', "under selector"),
    (LOCK, 'DeviceInfo(translation_key="broken")', "under device"),
    (LOCK, 'helper(translation_key="broken")', "under exceptions or issues"),
    (PACKAGE / "errors.py", 'TABLE = ((OSError, "no_line"),)', "'no_line' is not in en.json"),
    (FLOW, 'self.async_show_form(step_id="login")', "'login' is not in en.json"),
    (FLOW, 'self.async_abort(reason="no_home")', "under config.abort or options.abort"),
    (FLOW, "self._abort_if_unique_id_mismatch()", "'unique_id_mismatch' is not in"),
    (FLOW, 'errors["base"] = "broken"', "under config.error or options.error"),
    (FLOW, 'errors = {"base": "broken"}', "under config.error or options.error"),
)

REQUIRED_FILES = (
    PACKAGE / "manifest.json",
    PACKAGE / "icons.json",
    PACKAGE / "quality_scale.yaml",
    PACKAGE / "brand/logo@2x.png",
    ENGLISH,
    ITALIAN,
    Path("hacs.json"),
    Path("CHANGELOG.md"),
    Path("LICENSE"),
    Path("README.md"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository without findings."""
    sample.write(tmp_path)
    return tmp_path


def found(root: Path, text: str) -> bool:
    """Tell whether a finding holds a text."""
    findings = check_all(root).findings
    return any(text in finding for finding in findings)


def setting(path: str, value: object) -> Callable[[Tree], None]:
    """Return a change of one place in a tree."""
    *parents, last = path.split("/")

    def change(tree: Tree) -> None:
        inner: Any = tree
        for key in parents:
            inner = inner[key]
        if value is GONE:
            del inner[last]
        else:
            inner[last] = value

    return change


def test_nothing_is_found_in_a_good_repository(root: Path) -> None:
    """The sample is good, so that each broken copy has exactly one thing wrong."""
    assert check_all(root).findings == []


def test_nothing_is_found_in_this_repository() -> None:
    """The integration itself holds to every rule."""
    assert check_all(ROOT).findings == []


@pytest.mark.parametrize(("file", "path", "value", "finding"), JSON_CASES)
def test_a_broken_json_file_is_found(
    root: Path, file: Path, path: str, value: object, finding: str
) -> None:
    """One value is changed, taken away or added."""
    assert not found(root, finding)
    sample.edit(root, file, setting(path, value))
    assert found(root, finding)


@pytest.mark.parametrize(("file", "text", "finding"), TEXT_CASES)
def test_a_broken_text_is_found(root: Path, file: Path, text: str, finding: str) -> None:
    """One file is replaced."""
    sample.put(root, file, text)
    assert found(root, finding)


@pytest.mark.parametrize("file", REQUIRED_FILES, ids=str)
def test_a_missing_file_is_found(root: Path, file: Path) -> None:
    """Each file that a release needs."""
    (root / file).unlink()
    assert found(root, f"{file}: is missing")


def test_services_may_be_absent(root: Path) -> None:
    """An integration without actions has neither a file nor texts nor icons for them."""
    (root / PACKAGE / "services.yaml").unlink()
    for file in (ENGLISH, ITALIAN, PACKAGE / "icons.json"):
        sample.edit(root, file, setting("services", GONE))
    assert check_all(root).findings == []


def test_another_language_may_lack_keys_but_invent_none(root: Path) -> None:
    """A language that is not declared complete."""
    german = PACKAGE / "translations" / "de.json"
    sample.put(root, german, '{"exceptions": {"too_late": {"message": "{seconds} s zu spät."}}}')
    assert check_all(root).findings == []
    sample.edit(root, german, setting("exceptions/other", {"message": "Anderes."}))
    assert found(root, "exceptions.other.message is unknown to en.json")


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"brands": GONE}, "brands is missing"),
        ({"fame": "done"}, "fame is not a rule"),
        ({"brands": "soon"}, "brands is 'soon'"),
        ({"brands": {"status": "exempt"}}, "brands is exempt and needs a comment"),
        ({"brands": {"status": "done", "why": "x"}}, "brands.why is not known"),
    ],
)
def test_a_broken_quality_scale_is_found(root: Path, change: Json, finding: str) -> None:
    """Every rule is answered, and every answer is one."""
    rules = {**dict.fromkeys(RULES, "done"), **change}
    kept = {rule: answer for rule, answer in rules.items() if answer is not GONE}
    sample.put(root, PACKAGE / "quality_scale.yaml", sample.quality_scale(kept))
    assert found(root, finding)


def test_the_quality_scale_has_54_rules() -> None:
    """As many as Home Assistant's own integrations answer."""
    assert len(RULES) == 54


@pytest.mark.parametrize(
    ("name", "width", "height", "finding"),
    [
        ("icon.png", 256, 255, "icon.png: is 256x255, and has to be 256x256"),
        ("icon@2x.png", 256, 256, "icon@2x.png: is 256x256, and has to be 512x512"),
        ("dark_icon.png", 512, 512, "dark_icon.png: is 512x512"),
        ("logo.png", 700, 257, "its shortest side is 257, and has to be 128 to 256"),
        ("logo@2x.png", 255, 900, "its shortest side is 255, and has to be 256 to 512"),
        ("banner.png", 256, 256, "is not a picture that Home Assistant asks for"),
    ],
)
def test_a_wrong_picture_is_found(
    root: Path, name: str, width: int, height: int, finding: str
) -> None:
    """Sizes come from the head of the file."""
    sample.picture(root, name, width, height)
    assert found(root, finding)


def test_a_picture_without_transparency_is_found(root: Path) -> None:
    """Colour type 2 is red, green and blue alone."""
    sample.picture(root, "icon.png", 256, 256, colours=2)
    assert found(root, "icon.png: has no transparency")


def test_a_picture_that_is_no_png_is_found(root: Path) -> None:
    """A renamed JPEG, for example."""
    (root / PACKAGE / "brand" / "icon.png").write_bytes(b"\xff\xd8\xff\xe0")
    assert found(root, "icon.png: is no PNG")


def test_an_icon_that_the_frontend_lacks_is_found(root: Path) -> None:
    """Where the development server's environment is there, its list is asked."""
    frontend = Path(".venv-live/lib/python3.14/site-packages/hass_frontend/static/mdi")
    names = '[{"name": "door"}, {"name": "bell"}]'
    sample.put(root, frontend / "iconList.json", names)
    assert found(root, "is 'mdi:door-open', which the frontend does not have")
    assert not found(root, "is 'mdi:door', which")


def test_the_command_says_what_it_looked_at(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A good repository ends with 0, a broken one with 1 and a line for each finding."""
    monkeypatch.chdir(root)
    assert main() == 0
    assert capsys.readouterr().out == "hassfest-like checks: 17 files, no findings\n"
    (root / "LICENSE").unlink()
    assert main() == 1
    assert capsys.readouterr().out == "LICENSE: is missing\n"
