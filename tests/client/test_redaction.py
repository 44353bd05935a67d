"""Secrets are removed at any depth, ids keep one name each, structures contain no values."""

import copy
import re
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given, settings, strategies as st
import pytest

from custom_components.bticino_classe.client.redaction import (
    MAX_FIELDS,
    REDACTED,
    SECRET_KEYS,
    Pseudonyms,
    redact,
    shape_of,
)
from tests.client.answers import VALUES
from tests.soak.frames.coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "s3cr3t"
IDS = st.lists(st.text("0123456789:", min_size=6, max_size=12), min_size=1, max_size=4, unique=True)
QUICK = settings(max_examples=80, deadline=None)
TYPES = {"str", "int", "float", "bool", "NoneType", "dict", "list"}

marked: st.SearchStrategy[Any] = st.recursive(
    st.text(max_size=3).map(lambda text: f"{text}{MARK}"),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(st.text(max_size=4), inner, min_size=1, max_size=2)
    ),
    max_leaves=3,
)
secret_keys = st.sampled_from(sorted(SECRET_KEYS)).flatmap(
    lambda key: st.sampled_from([key, key.upper(), key.title()])
)
houses_with_secrets: st.SearchStrategy[Any] = st.recursive(
    st.dictionaries(secret_keys, marked, min_size=1, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner)
        | st.dictionaries(st.text("xyz", max_size=3), inner, max_size=2)
        | st.dictionaries(secret_keys, inner, max_size=2)
    ),
    max_leaves=5,
)


@given(value=houses_with_secrets)
@QUICK
def test_no_secret_survives(value: Any) -> None:
    """At any depth, in lists and tuples, for any case of the key; the original is not changed."""
    before = copy.deepcopy(value)
    assert MARK not in repr(redact(value))
    assert value == before


@given(value=VALUES)
@QUICK
def test_other_values_stay(value: object) -> None:
    """Only the listed keys are removed."""
    assume(not SECRET_KEYS & {str(key).lower() for key in keys_in(value)})
    assert redact(value) == value


@pytest.mark.parametrize(
    "key",
    [
        "access_token",
        "refresh_token",
        "password",
        "client_secret",
        "email",
        "username",
        "credential",
        "coordinates",
        "name",
        "home_name",
        "local_ipv4",
        "sdp",
        "url",
        "snapshot_url",
        "message",
    ],
)
def test_list_of_secrets(key: str) -> None:
    """Identity, location, and what opens a door."""
    assert redact({key: [MARK], "type": "BNDL"}) == {key: REDACTED, "type": "BNDL"}


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_empty_values_stay(empty: object) -> None:
    """It helps the reader that a field is empty."""
    assert redact({"password": empty}) == {"password": empty}


def nested(ids: list[str]) -> st.SearchStrategy[Any]:
    """Build values that contain these ids as keys, as values and inside texts."""
    texts = st.builds(
        "{}{}{}".format,
        st.text("ab ", max_size=2),
        st.sampled_from(ids),
        st.text("ab ", max_size=2),
    )
    return st.recursive(
        texts | st.integers() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner)
            | st.dictionaries(texts, inner, max_size=3)
        ),
        max_leaves=6,
    )


@given(data=st.data())
@QUICK
def test_no_id_survives(data: st.DataObject) -> None:
    """Neither as key, as value nor inside a text, even if one id starts with another."""
    ids = data.draw(IDS)
    ids += [f"{ids[0]}0"] * (f"{ids[0]}0" not in ids)
    names = Pseudonyms()
    for identifier in ids:
        names.name(identifier, "door")
    value = data.draw(nested(ids).filter(lambda value: not isinstance(value, int)))
    shown = repr(names.replace(value))
    assert [identifier for identifier in ids if identifier in shown] == []


def test_names_of_ids() -> None:
    """Unique, numbered by kind, the same everywhere; the first kind stays."""
    names = Pseudonyms()
    assert [names.name(*each) for each in (("a1", "door"), ("b2", "light"), ("c3", "door"))] == [
        "door-1",
        "light-1",
        "door-2",
    ]
    assert names.name("a1", "module") == "door-1"
    value = {"a1": ["c3", ("x a1 c3",)], "other": 5}
    assert names.replace(value) == {"door-1": ["door-2", ["x door-1 door-2"]], "other": 5}


def test_longer_id_is_not_cut() -> None:
    """An id that starts with another one has its own name."""
    names = Pseudonyms()
    names.name("abc", "door")
    names.name("abc-1", "light")
    assert names.replace("abc-1 abc") == "light-1 door-1"


def texts_in(value: object) -> set[str]:
    """Return every text inside a value that is no key."""
    if isinstance(value, dict):
        return {text for item in value.values() for text in texts_in(item)}
    if isinstance(value, list):
        return {text for item in value for text in texts_in(item)}
    return {value} if isinstance(value, str) else {repr(value)}


def keys_in(value: object) -> set[object]:
    """Return every key inside a value."""
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys_in(item)}
    return {key for item in value for key in keys_in(item)} if isinstance(value, list) else set()


@given(value=VALUES | houses_with_secrets)
@QUICK
def test_structure_contains_no_value(value: object) -> None:
    """Only types, and keys that can be names of fields."""
    shape = shape_of(value)
    assert texts_in(shape) <= TYPES
    assert [key for key in keys_in(shape) if not re.fullmatch(r"\?|[a-z_]+", str(key))] == []


def test_structure_of_a_push() -> None:
    """It shows the kind but no id; a list is represented by its first item."""
    frame = {
        "push_type": "BNC1-incoming_call",
        "extra_params": {"device_id": "00:03:50:ab:cd:ef", "timestamp": 5, "live": True},
        "00:03:50:ab:cd:ef": [{"sdp": "v=0"}, "x"],
        "none": None,
        "tuple": (1.5, 2),
        "empty": [],
    }
    assert shape_of(frame) == {
        "push_type": "BNC1-incoming_call",
        "extra_params": {"device_id": "str", "timestamp": "int", "live": "bool"},
        "?": [{"sdp": "str"}],
        "none": "NoneType",
        "tuple": ["float"],
        "empty": [],
    }


@pytest.mark.parametrize("depth", [50, 250, 1000])
@pytest.mark.parametrize("wrap", [lambda inner: {"a": inner}, lambda inner: [inner]])
def test_structure_of_a_nested_value(depth: int, wrap: Callable[[object], object]) -> None:
    """The cloud's JSON may have a thousand levels; only some are shown."""
    value: object = 5
    for _ in range(depth):
        value = wrap(value)
    shape = {"push_type": "str", "extra_params": shape_of(value)}
    assert len(str(shape)) < 200
    assert redact(Pseudonyms().replace(shape)) == shape


@pytest.mark.parametrize(
    "value",
    [
        {f"{'abcdefghij'[n % 10] * (n // 10 + 1)}": n for n in range(320)},
        {letter: dict.fromkeys(ascii_lowercase, 1) for letter in ascii_lowercase},
        {f"00:03:50:{n}": 1 for n in range(MAX_FIELDS + 1)},
        {f"00:03:50:{n}": {f"{m}": {} for m in range(40)} for n in range(40)},
    ],
    ids=["wide", "nested", "ids", "nested ids"],
)
def test_structure_of_a_large_value(value: object) -> None:
    """It would fill the diagnostics, or keep the event loop busy."""
    assert shape_of(value) == "dict"


@pytest.mark.parametrize(
    "value",
    [
        {f"{n}": {f"{m}": n for m in range(100)} for n in range(200)},
        {f"{n}": [[[[[[[[[[[[["x"]]]]]]]]]]]]] for n in range(1000)},
    ],
    ids=["fields", "lists"],
)
def test_work_for_the_structure_of_a_large_value(value: object) -> None:
    """It does not grow with the frame: an unknown one may have 256 KB."""
    with Coverage(counts_all=True) as coverage:
        shape_of(value)
    assert coverage.executed < 20 * MAX_FIELDS


@pytest.mark.parametrize(
    "value",
    [
        "BNC1-Incoming",
        "BNC-call",
        "XNC1-call",
        "BNC1-",
        "BNC1-call ",
        "BNC1-call\n",
        "x BNC1-call",
        f"BNC1-{'a' * 33}",
        "BNC1-aa11bb22",
    ],
)
def test_text_that_is_no_push_kind(value: str) -> None:
    """It can be anything, so it is not shown."""
    assert shape_of({"push_type": value}) == {"push_type": "str"}


@pytest.mark.parametrize("key", ["Name", "a" * 33, "aa11", "a-b", "a b", "", "name\n", 5, None])
def test_key_that_is_no_field_name(key: object) -> None:
    """It can be an id or a token, so it is not shown."""
    assert shape_of({key: 1}) == {"?": "int"}
