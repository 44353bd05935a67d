"""No name, id, address or secret survives in a recorded message; what is known stays readable."""

import base64
from collections import Counter
import json
import re
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.bticino_classe.client.recording.pseudonyms import RandomPseudonyms
from custom_components.bticino_classe.client.recording.redactor import (
    CHARACTERS_PER_VALUE,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_VALUES,
    MessageRedactor,
)
from custom_components.bticino_classe.client.redaction import (
    ID_FIELDS,
    READABLE_NUMBERS,
    READABLE_TEXTS,
    SECRET_KEYS,
    TIMES,
)
from tests.client import answers
from tests.simulator.pushes import DEVICE_SDP

STARTED_AT = 1_790_000_000.0
SHORT_NUMBER = 6  # digits
QUICK = settings(max_examples=150, deadline=None)
HOME, BRIDGE = "64a1b2c3d4e5f60718293a4b", "00:03:50:ab:cd:ef"
CANDIDATE = "candidate:1 1 udp 2130706431 192.0.2.20 50000 typ host generation 0 ufrag abcd"
FIELDS = sorted({*SECRET_KEYS, *ID_FIELDS, *READABLE_TEXTS, *READABLE_NUMBERS, *TIMES, "id"})

hexadecimal = st.text("0123456789abcdef", min_size=24, max_size=24).filter(
    lambda text: re.search("[a-f]", text)
)
identifiers = (
    hexadecimal
    | st.uuids().map(str)
    | st.lists(st.integers(0, 255), min_size=6, max_size=6).map(
        lambda parts: ":".join(f"{part:02x}" for part in parts)
    )
    | st.emails().filter(str.isascii)
    | st.integers(10**9, 10**19).map(str)
    | st.ip_addresses(v=4).map(str).filter(lambda text: len(text) > 7)
)
names = st.sampled_from(
    ["Villa Rossi", "cancello", "PORTONE", "Casa al mare", "Müller", "abcdefgh", "BNXZ", "Zia_Pina"]
)
personal = identifiers | names


def encodings(secret: str) -> set[str]:
    """Return a secret as it may be written inside a text, in small letters."""
    raw = secret.encode()
    return {
        each.lower()
        for each in (
            secret,
            secret.swapcase(),
            quote(secret, safe=""),
            raw.hex(),
            base64.b64encode(raw).decode().rstrip("="),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
            json.dumps(secret)[1:-1],
        )
    }


def written(secret: str) -> st.SearchStrategy[str]:
    """Build texts that contain a secret, in any case and encoding."""
    raw = secret.encode()
    forms = [
        *(secret, secret.upper(), secret.lower(), quote(secret, safe="")),
        *(
            base64.b64encode(raw).decode(),
            raw.hex(),
            f"https://host.example/{secret}/x?sig={secret}",
        ),
        *(
            f"o=- 1 {secret} IN IP4 {secret}",
            f"BNC1-{secret}",
            f"a=mid:{secret}\r\na={secret}:1\r\n",
        ),
        f"v=0\r\na=rtpmap:96 {secret}/90000\r\na=fmtp:96 {secret}={secret}\r\nm=audio {secret}\r\n",
        f"candidate:1 1 udp 1 {secret} 5 typ host raddr {secret} rport 1",
        f"turn:{secret}:3478?transport=udp",
    ]
    return st.builds(
        "{}{}{}".format, st.sampled_from(["", " ", "x ", "_"]), st.sampled_from(forms), st.just("")
    )


def containing(secret: str) -> st.SearchStrategy[Any]:
    """Build messages with a secret as a key, as a value of any field, and inside texts."""
    keys = st.sampled_from(FIELDS) | st.text("abc_", min_size=1, max_size=6) | written(secret)
    return st.recursive(
        written(secret) | st.booleans() | st.none(),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(keys, inner, min_size=1, max_size=4)
        ),
        max_leaves=8,
    )


def redactor(*known: str) -> MessageRedactor:
    """Return a redactor that knows these names."""
    pseudonyms = RandomPseudonyms()
    for each in known:
        pseudonyms.name(each, "name")
    return MessageRedactor(pseudonyms, started_at=STARTED_AT)


def redact(message: object) -> Any:
    """Return a message as it is recorded."""
    return redactor().redact(message)


@given(secret=personal, data=st.data())
@QUICK
def test_no_secret_survives(secret: str, data: st.DataObject) -> None:
    """Not in any field, at any depth, as a key, or inside texts, links and descriptions."""
    message = data.draw(containing(secret))
    shown = json.dumps(redactor(secret).redact(message), ensure_ascii=False).lower()
    assert [each for each in encodings(secret) if each in shown] == []


@given(secret=personal, field=st.sampled_from(sorted(SECRET_KEYS | ID_FIELDS.keys() | {"id"})))
@QUICK
def test_name_is_learned(secret: str, field: str) -> None:
    """From then on, it is also replaced in fields that may be read, and as a key."""
    hides = redactor()
    hides.redact({"modules": [{"name": secret, "id": secret}]})
    message = {"type": secret, "push_type": f"BNC1-{secret}", field: secret, secret: 1, "x": secret}
    shown = json.dumps(hides.redact(message)).lower()
    assert [each for each in encodings(secret) if each in shown] == []


@given(number=st.integers(10, 10**20) | st.floats(-180, 180).filter(lambda x: x % 1))
@QUICK
def test_unknown_number_does_not_survive(number: float) -> None:
    """A PIN, a position or a phone number; a single digit may be a mode."""
    shown = redact({"pin": number, "lat": [number], "coordinates": [number], "mode": 7})
    values = [shown["pin"], *shown["lat"], *shown["coordinates"]]
    # A pseudonym is random, and may have a few digits in common with a short number.
    hidden = str(number) if len(str(number)) > SHORT_NUMBER else f" {number} "
    assert all(isinstance(each, str) and hidden not in f" {each} " for each in values)
    assert shown["mode"] == 7


@pytest.mark.parametrize(
    "text",
    [
        *("BNC1", "BNTVCC", "NATherm1", "incoming_call", "ok", "Websocket"),
        *("BNC1-incoming_call", "BNEU:bneu_external_unit", "4.1.1.3", "2.3.8"),
    ],
)
def test_protocol_words_are_readable(text: str) -> None:
    """In the fields where they occur."""
    fields = [field for field, form in READABLE_TEXTS.items() if form.fullmatch(text)]
    assert fields
    assert redact(dict.fromkeys(fields, text)) == dict.fromkeys(fields, text)


def test_protocol_words_are_readable_even_if_they_are_names() -> None:
    """An owner may call a panel `Outdoor`, and a home `Call`."""
    message = {"type": "outdoor", "data": {"type": "call", "event_type": "incoming_call"}}
    assert redactor("Outdoor", "CALL", "data", "type").redact(message) == message


def test_same_value_has_the_same_pseudonym() -> None:
    """In every field, in other case and other separators, as a key, a number, inside texts."""
    hides = redactor()
    first = hides.redact({"device_id": BRIDGE, "correlation_id": "9223372036854770001"})
    name = first["device_id"].strip("<>").split()[0]
    message = {
        "bridge": BRIDGE.upper(),
        "modules": [{"id": BRIDGE.replace(":", "-")}],
        BRIDGE: 1,
        "new": f"The module {BRIDGE} is offline",
        "url": f"https://blob.example/{BRIDGE}/1?sig=x",
        "unknown": BRIDGE,
    }
    shown = hides.redact(message)
    assert shown["bridge"] == shown["unknown"] == first["device_id"] == f"<{name} mac>"
    assert shown["modules"] == [{"id": f"<{name} mac>"}]
    assert shown[f"<{name} mac>"] == 1
    assert shown["new"] == f"<str:{len(str(message['new']))} {name}>"
    assert name in shown["url"]
    number = hides.redact({"correlation_id": 9223372036854770001})["correlation_id"]
    assert number == first["correlation_id"].replace(">", " int>")


def test_addresses_in_descriptions_and_fields_are_the_same() -> None:
    """The intercom's address in its state, its description and its candidates."""
    hides = redactor()
    address = hides.redact({"local_ipv4": "192.0.2.20"})["local_ipv4"]
    assert address.endswith(" ipv4 private>")
    assert address in hides.redact({"sdp": DEVICE_SDP})["sdp"]
    assert address in hides.redact({"candidate": CANDIDATE})["candidate"]
    related = "candidate:2 1 udp 1 198.51.100.20 5 typ srflx raddr 192.0.2.20 rport 6"
    assert hides.redact({"candidate": related})["candidate"].endswith(
        f"raddr {address} rport <port>"
    )


def test_pseudonyms_differ_between_recordings() -> None:
    """They are drawn at random, so nothing of a value is in them."""
    names = {redact({"home_id": HOME})["home_id"] for _ in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch(r"<home-[0-9a-f]{8}>", name) for name in names)


def test_a_pseudonym_is_not_given_twice() -> None:
    """Even if the same suffix is drawn again."""
    drawn = iter(["aa", "aa", "aa", "bb"])
    pseudonyms = RandomPseudonyms(lambda: next(drawn))
    assert [pseudonyms.name(each, "home") for each in ("1", "2", "1")] == [
        "home-aa",
        "home-bb",
        "home-aa",
    ]


def test_types_and_lengths_of_unknown_values() -> None:
    """They are what a reader needs; booleans and null tell nothing about a person."""
    message = {
        "new": "some text",
        "long_number": 12345,
        "negative": -5,
        "share": 0.25,
        "flag": True,
        "none": None,
        "empty": "",
        "list": ["ab", 1, 22],
        "a1b2c3d4e5f6": "x",
        "Some Key": 1,
    }
    shown = redact(message)
    keys = [key for key in shown if key.startswith("<")]
    assert [key.partition("-")[0] for key in keys] == ["<id", "<key"]
    assert [shown.pop(key) for key in keys] == ["<str:1>", 1]
    assert shown == {
        "new": "<str:9>",
        "long_number": "<int:5>",
        "negative": "<int:1>",
        "share": "<float>",
        "flag": True,
        "none": None,
        "empty": "",
        "list": ["<str:2>", 1, "<int:2>"],
    }


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("time", 1_789_999_990, -10),
        ("timestamp", 1_790_000_000.5, 0.5),
        ("last_seen", 0, 0),
        ("time", 45, "<int:2>"),
        ("dnd_end_time_duration", 1_790_003_600_000, 3_600_000),
        ("last_configs_update", 1_530_000_000_000, -260_000_000_000),
        ("uptime", 812_345, 812_345),
        ("uptime", 10**12, "<int:13>"),
        ("expiry", 30.1234, 30.123),
        ("code", 26, 26),
    ],
)
def test_numbers_and_times(field: str, value: float, shown: object) -> None:
    """Times count from the start of the recording, in the unit that the cloud uses."""
    assert redact({field: value}) == {field: shown}


def test_known_messages_keep_their_structure() -> None:
    """Types, kinds, links between modules, numbers."""
    shown = redact(answers.HOMES)
    home = shown["homes"][0]
    bridge, door = home["modules"]
    assert (bridge["type"], door["type"]) == ("BNC1", "BNDL")
    assert door["variant"] == "BNDL:bndl_doorlock"
    assert door["bridge"] == bridge["id"]
    assert door["id"] in bridge["modules_bridged"]
    assert redact(answers.STATES)["errors"][0]["code"] == 6


def test_description_keeps_what_a_call_depends_on() -> None:
    """Codecs, payload types, directions, mids and line endings; no key and no address."""
    lines = redact({"sdp": DEVICE_SDP})["sdp"].split("\r\n")
    assert len(lines) == len(DEVICE_SDP.split("\r\n"))
    for line in (
        *("m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:109 H264/90000", "a=mid:1", "a=sendonly"),
        *("a=group:BUNDLE 0 1", "a=setup:actpass", "a=rtcp-fb:109 nack pli", "c=IN IP4 0.0.0.0"),
        "a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
    ):
        assert line in lines
    fingerprints = [line for line in lines if line.startswith("a=fingerprint:<fingerprint-")]
    assert len({*fingerprints}) == 1
    assert len(fingerprints) == 2


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("m=audio 50000 UDP/TLS/RTP/SAVPF 111 0", "m=audio <port> UDP/TLS/RTP/SAVPF 111 0"),
        ("a=new-thing:192.0.2.20", "a=new-thing:<str:10>"),
        ("a=new-thing", "a=new-thing"),
        ("a=ssrc:5 msid:stream track", "msid:<str:12>"),
        ("a=candidate:1 1 udp 5 0b.local 9 typ host", " 9 typ host"),
        ("a=candidate:what", "a=candidate:<str:4>"),
        ("i=Villa Rossi", "i=<str:11>"),
        ("Villa Rossi", "<str:11>"),
        ("a=cancello:1", "a=<str:10>"),
        ("a=rtpmap:96 Cancello/90000", "a=rtpmap:<str:17>"),
    ],
)
def test_lines_of_descriptions(line: str, shown: str) -> None:
    """What is not known keeps the name of its attribute, unless that is somebody's name."""
    found = redactor("Cancello").redact({"sdp": f"{line}\n"})["sdp"]
    if line.startswith("a=ssrc"):
        assert re.fullmatch(rf"a=ssrc:<ssrc-\w+> {shown}\n", found)
    elif "0b.local" in line:
        assert re.search(r"<priority> <mdns-\w+> <port> typ host\n", found)
    else:
        assert found == f"{shown}\n"


@pytest.mark.parametrize(
    ("link", "form"),
    [
        (
            "https://blob.example/a/b.jpg?se=5&sig=x&me=y",
            r"<url:44 https host-\w+ path:2 query:se,sig,\?>",
        ),
        ("https://[bad", r"<str:12>"),
        ("ftp://user:secret@host.example/", r"<url:31 other host-\w+ path:0>"),
    ],
)
def test_links(link: str, form: str) -> None:
    """Their scheme, the number of parts and the parameters of a signature stay."""
    for field in ("url", "snapshot_url", "new"):
        assert re.fullmatch(form, redact({field: link})[field])


@pytest.mark.parametrize(
    ("link", "form"),
    [
        ("turn:turn.example:3478?transport=udp", r"turn:<host-\w+>:3478\?transport=udp"),
        ("stun:192.0.2.1", r"stun:<host-\w+ ipv4 private>"),
        ("turn:a b", "<str:8>"),
    ],
)
def test_relays(link: str, form: str) -> None:
    """Their protocol and port stay."""
    assert re.fullmatch(form, redact({"urls": link})["urls"])
    assert re.fullmatch(form, redact({"urls": [link]})["urls"][0])


def test_counts() -> None:
    """What was replaced is counted by kind."""
    hides = redactor()
    hides.redact({"access_token": "a|b", "password": "x", "home_id": HOME, "type": "BNC1"})
    hides.redact({"home_id": HOME, "new": "text"})
    assert hides.redacted == Counter(home=2, token=1, secret=1, text=1)


def test_password_is_replaced_without_its_length() -> None:
    """A secret has no pseudonym either."""
    assert redact({"password": "abc", "client_secret": "defg"}) == {
        "password": "<secret>",
        "client_secret": "<secret>",
    }


def nested(depth: int) -> object:
    """Return lists inside of lists."""
    found: object = HOME
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    "message",
    [
        nested(900),
        [1] * 100_000,
        {f"key{number}": number for number in range(1000)},
        [[HOME] * 100] * 100,
        {"sdp": "a=x\r\n" * 100_000},
        {"sdp": "m=" + "x" * 1_000_000},
        {"new": f"{HOME} " * 50_000},
        {"id": HOME * 50_000},
        [{"sdp": "a=x\r\n" * 1000}] * 100,
    ],
    ids=[
        *("deep", "long list", "many keys", "many values", "many lines", "long line"),
        *("long text", "long id", "many descriptions"),
    ],
)
def test_huge_messages_are_cut(message: object) -> None:
    """The event loop waits while a message is redacted."""
    hides = redactor()
    shown = json.dumps(hides.redact(message))
    assert HOME not in shown
    assert len(shown) < 40 * MAX_VALUES
    assert MAX_ITEMS * MAX_DEPTH < MAX_VALUES


@pytest.mark.parametrize("key", ["new", "message", "url", "urls", "candidate", "name", "id"])
def test_long_texts_are_several_values(key: str) -> None:
    """A frame may have hundreds of them."""
    length = 480
    shown = json.dumps(redactor().redact([[{key: "x" * length}] * MAX_ITEMS] * MAX_ITEMS))
    assert shown.count("{") <= MAX_VALUES * CHARACTERS_PER_VALUE / length + 1
    assert "<dict>" in shown


@pytest.mark.parametrize("message", [None, True, 5, "text", [], {}, "", float("nan"), 1.5])
def test_messages_that_are_no_objects(message: object) -> None:
    """A frame can be any JSON."""
    json.dumps(redact(message))
