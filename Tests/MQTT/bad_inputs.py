"""The tables of `check_bad.py`: messages that mean nothing, or something impossible. Pure: no connection, no site."""
import json
import time
from typing import NamedTuple

from broker import NAMESPACE
from harness import command, legacy, sync

# How a message may end. A row lists all that are right for it.
REFUSED, NOTHING = "refused", "nothing"
LARGE = 5_000_000
START, STOP, STATE, CAPTURE = (command("line1", "clips", verb) for verb in ("start", "stop", "state", "capture"))
TASK_STATE = legacy("line1", "get-task-state")
ARCHIVE, CANCEL, LIST, EVENTS = (sync(name) for name in ("archive", "cancel", "list", "events"))


class Bad(NamedTuple):
    """A message. `ends` says how it may end when it is published plainly; as a request it has to be answered with one of
    `statuses`, or, where there are none, not at all."""

    name: str
    topic: str
    payload: bytes
    ends: tuple = (REFUSED,)
    statuses: tuple = ("400",)
    # The field that the refusal has to name.
    field: str | None = None


def text(value):
    return json.dumps(value).encode()


# --- What is no JSON object -------------------------------------------------------------------------------------------------------------

BROKEN = {
    "truncated object": b'{"a": 1', "truncated text": b'{"a": "b', "truncated escape": b'{"a": "\\u00', "truncated number": b'{"a": -',
    "only a brace": b"{", "only a closing brace": b"}", "no colon": b'{"a" 1}', "no value": b'{"a":}', "trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}", "bare key": b"{a: 1}", "comment": b'{"a": 1 /* b */}', "two values": b"{} {}", "text behind": b"{}x",
    "YAML": b"a: 1\n", "XML": b"<a>1</a>", "deep arrays": b"[" * 100_000, "deep objects": b'{"a":' * 20_000, "deep and closed":
    b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "invalid UTF-8": b'{"a": "\xff\xfe"}', "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "surrogate as UTF-8": b'{"a": "\xed\xa0\x80"}', "cut UTF-8": b'{"a": "\xe2\x82"}', "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}", "NUL alone": b"\0", "NUL behind": b"{}\0", "NUL in a text": b'{"a": "b\0c"}',
    "escaped NUL": b'{"a": "b\\u0000c"}', "control byte in a text": b'{"a": "b\x01c"}', "newline in a text": b'{"a": "b\nc"}',
    "lone high surrogate": b'{"a": "\\ud800"}', "lone low surrogate": b'{"a": "\\udc00x"}', "wrong escape": b'{"a": "\\x41"}',
    "NaN": b'{"a": NaN}', "Infinity": b'{"a": -Infinity}', "hexadecimal": b'{"a": 0x10}', "leading zero": b'{"a": 01}', "plus": b'{"a": +1}',
    "point without digits": b'{"a": 1.}', "True": b'{"a": True}', "array": b"[]", "array of objects": b"[{}]", "text": b'"start"',
    "number": b"42", "true": b"true", "null": b"null", "only white space": b" \r\n\t ", "random bytes": bytes(range(128, 256)),
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\3\xab\xae\5\0\x43\xbf\xa6\xa3\2\0\0\0", "a picture": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(2000),
}


def broken():
    for name, payload in BROKEN.items():
        for topic in (START, STATE, TASK_STATE, ARCHIVE, CANCEL, EVENTS):
            yield Bad(f"{name} on {topic.rpartition('/')[2]}", topic, payload)
    for topic in (TASK_STATE, ARCHIVE, CANCEL, EVENTS):
        yield Bad(f"empty on {topic.rpartition('/')[2]}", topic, b"")


# --- Archive requests -------------------------------------------------------------------------------------------------------------------

def archive_body(name, **changes):
    """A right request with some fields changed; `...` takes one out."""
    body = {"requestId": name, "cameras": ["line1"], "start": int((time.time() - 10) * 1000), "durationSeconds": 2, "delivery": "archive"}
    return {key: value for key, value in {**body, **changes}.items() if value is not ...}


def archive():
    now = int(time.time() * 1000)
    tables = {
        "cameras": [..., None, 1, True, {}, [], [1], [["line1"]], [None], "", [""], ["line1", ""], ["none"], "none", ["none/none"], ["line1/clips"],
                    ["line1"] * 65, ["x" * 5000], ["../line1"], ["+"], ["#"],
                    # What JSON may say and a text of MQTT may not: a broker cuts the connection of whoever repeats it in a property.
                    ["line1\n"], ["line1\0"], ["a\x7f"], ["a\x85"], ["a\ufdd0"], ["a\uffff"], ["a\U0001fffe"], ["\u202eenil"]],
        "start": [..., None, True, {}, [], "", "yesterday", "2025-11-23", "2025-11-23T04:05:06", "2025-02-30T00:00:00Z", "2025-11-23T25:00:00Z",
                  0, -1, 1e400, 10 ** 30, "1969-12-31T23:59:59Z", "2101-01-01T00:00:00Z", now + 100 * 86_400_000],
        "durationSeconds": [..., None, 0, -1, True, {}, [], "2", "", 86_401, 1e300, 0.0000001],
        "kinds": ["segment", 1, {}, [1], ["clip"], ["Segment"], [[]], ["segment", 5]],
        "delivery": ["Archive", "", 1, True, {}, [], "cloud "],
        "mode": ["clips", "", 1, True, {}, []],
        "requestId": ["", 1, True, {}, [], "a b", "a/b", "ü", "x" * 65, "../../etc", "a\tb", "#", "+"],
    }
    number = 0
    for field, values in tables.items():
        for value in values:
            number += 1
            body = text(archive_body(f"bad-{number}-{now}", **{field: value})).replace(b"Infinity", b"1e400")
            shown = "missing" if value is ... else json.dumps(value)[:40]
            yield Bad(f"archive with {field} {shown}", ARCHIVE, body, statuses=("400", "500"))
    for name, changes in [
            ("end before start", {"durationSeconds": ..., "end": now - 20_000}),
            ("end like start", {"durationSeconds": ..., "start": now, "end": now}),
            ("end a text", {"durationSeconds": ..., "end": "later"}), ("end true", {"durationSeconds": ..., "end": True}),
            ("end besides durationSeconds", {"end": now}), ("more than a day", {"durationSeconds": ..., "start": now - 90_000_000, "end": now}),
            ("camera besides cameras", {"camera": "line1"}), ("asset besides cameras", {"asset": "line1"})]:
        yield Bad(f"archive with {name}", ARCHIVE, text(archive_body(f"bad-{name.replace(' ', '-')}-{now}", **changes)), statuses=("400", "500"))
    # The last one counts, and it is wrong; a reader that takes the first must refuse the key all the same.
    yield Bad("archive with a key twice", ARCHIVE, b'{"durationSeconds": "a", "cameras": 1, "cameras": 2, "durationSeconds": "b"}')


def command_of(level, verb):
    """A command's topic with the asset's level as it is given."""
    return f"{NAMESPACE}/asset-operations/{level}/clips/{verb}"


# --- Commands, cancellations, events ----------------------------------------------------------------------------------------------------

def commands():
    for field, values in {
            "timeLimitSeconds": [0, -1, "60", True, [], {}, 1e300, 604_801, 0.0001], "duration": [0, -1, 3601, "5", True, [], {}, 1e300],
            "format": ["wmv", 5, [], True, "mp4 ", "../mp4"], "taskType": ["none", 1, ""],
            "path": ["../../etc", "relative", 5], "audioEnabled": ["yes", 1]}.items():
        for value in values:
            yield Bad(f"start with {field} {json.dumps(value)[:40]}", START, text({field: value}), field=field)
    yield Bad("start with a key twice", START, b'{"timeLimitSeconds": 0, "timeLimitSeconds": -1}')
    yield Bad("start with 17 KiB", START, text({"x": "y" * 17_408}))
    yield Bad("start with 17 KiB of white space", START, b" " * 17_408 + b"{}")
    for value in (5, "", "wmv", [], True):
        yield Bad(f"capture with format {value!r}", CAPTURE, text({"format": value}), field="format")
    for value in (..., None, 1, True, [], {}, "", ["clips"]):
        body = {} if value is ... else {"datapoint": value}
        yield Bad(f"get-task-state with datapoint {'missing' if value is ... else json.dumps(value)}", TASK_STATE, text(body))
    for value in (..., None, 1, True, [], {}, "", "a b", "x" * 65, "../x"):
        body = {} if value is ... else {"requestId": value}
        yield Bad(f"cancel with requestId {'missing' if value is ... else json.dumps(value)[:40]}", CANCEL, text(body))
    yield Bad("cancel of an unknown request", CANCEL, text({"requestId": "unknown"}), statuses=("400", "500"))
    for verb in ("start", "stop", "state", "capture"):
        yield Bad(f"{verb} of an unknown stream", command("line1", "none", verb), b"{}", statuses=("500",))
        yield Bad(f"{verb} of an unknown asset", command("none", "clips", verb), b"{}", statuses=("500",))
        for length in (129, 500):
            yield Bad(f"{verb} of an asset of {length} bytes", command("x" * length, "clips", verb), b"{}", statuses=("400", "500"))
            yield Bad(f"{verb} of a stream of {length} bytes", command("line1", "y" * length, verb), b"{}", statuses=("400", "500"))
        yield Bad(f"{verb} of a name of 200 letters of 4 bytes", command("\U0001f3a5" * 50, "clips", verb), b"{}", statuses=("400", "500"))
        # Twice as long where it is written as JSON: too long for a property.
        yield Bad(f"{verb} of an asset of 40 KB of quotation marks", command_of('"' * 40_000, verb), b"{}", (NOTHING, REFUSED), ("400", "500"))
        for odd in ("%C2%85", "%EF%BF%BF", "%EF%B7%90", "line1%2Fx", "%", "%zz", "%00", "%0a", "%ff%fe", "%2e%2e", ".."):
            yield Bad(f"{verb} of the asset {odd}", command_of(odd, verb), b"{}", statuses=("400", "500"))


def events():
    now = int(time.time() * 1000)
    right = {"timestamp": now, "cameras": ["line1"], "preSeconds": 2, "postSeconds": 1}
    for field, values in {
            "timestamp": [..., None, "yesterday", "", True, [], {}, 0, -1, 1e400, "2025-13-01T00:00:00Z", now + 100 * 86_400_000],
            "cameras": [..., None, [], [1], {}, 5, "", ["none"], ["line1"] * 65], "preSeconds": [-1, "2", True, [], 86_401, 1e300],
            "postSeconds": [-1, "1", {}, 86_401], "eventId": ["", [], {}, True]}.items():
        for value in values:
            body = {key: v for key, v in {**right, field: value}.items() if v is not ...}
            name = f"event with {field} {'missing' if value is ... else json.dumps(value)[:40]}"
            yield Bad(name, EVENTS, text(body).replace(b"Infinity", b"1e400"), statuses=("400", "500"))
    # The id names the topic of the receipt.
    for name in ("\uffff", "\ufdd0", "\U0001fffe", "\x01", "\x85", "\n", "+/#", "$SYS", "/", "//", "%", "..", " ",
                 "x" * 5000, "\U0001f3a5" * 32, 1e300):
        yield Bad(f"event without a time, with the id {json.dumps(name)[:40]}", EVENTS, text({"eventId": name, "cameras": ["line1"]}))
    yield Bad("event with an empty window", EVENTS, text({**right, "preSeconds": 0, "postSeconds": 0}))


# --- Topics and sizes -------------------------------------------------------------------------------------------------------------------

def topics():
    operations = f"{NAMESPACE}/asset-operations"
    for name, topic in {
            "in capitals": f"{operations}/line1/clips/Start", "an unknown verb": f"{operations}/line1/clips/pause",
            "a level more": f"{operations}/line1/clips/x/start", "a slash behind": f"{operations}/line1/clips/start/",
            "a slash before": f"/{operations}/line1/clips/start", "two slashes": f"{NAMESPACE}//asset-operations/line1/clips/start",
            "no stream": f"{operations}/line1/start", "no verb": f"{operations}/line1/clips", "no asset": f"{operations}/start",
            "an encoded verb": f"{operations}/line1/clips/%73tart", "an unknown legacy verb": f"{operations}/line1/get-task-nothing",
            "a verb of the preview with a stream": f"{operations}/line1/clips/get-task-state", "an empty verb": f"{operations}/line1/clips/",
            "the namespace alone": NAMESPACE, "below archive": f"{ARCHIVE}/x", "archive in capitals": f"{NAMESPACE}/media-sync/Archive",
            "media-sync alone": f"{NAMESPACE}/media-sync",
            "a hundred levels": f"{operations}/{'/'.join('x' * 100)}/start"}.items():
        yield Bad(f"topic: {name}", topic, b"{}", (NOTHING,), ())
    # They reach a filter with wildcards, so the adapter may have a word for them. Below the topic of 3000 bytes it cannot have one.
    for name, topic in {"empty asset": f"{operations}//clips/start", "empty stream": f"{operations}/line1//start",
                        "both empty": f"{operations}///start", "empty asset, verb of the preview": f"{operations}//get-task-state",
                        "a name of 3000 bytes": f"{operations}/{'x' * 3000}/clips/start"}.items():
        yield Bad(f"topic: {name}", topic, b"{}", (NOTHING, REFUSED), (None, "400", "500"))


def sizes():
    for topic in (START, STATE, CAPTURE, TASK_STATE, ARCHIVE, CANCEL, EVENTS, LIST):
        ends = (REFUSED, NOTHING) if topic == LIST else (REFUSED,)
        name = topic.rpartition("/")[2]
        yield Bad(f"5 MB of zeros on {name}", topic, bytes(LARGE), ends)
        yield Bad(f"5 MB of one text on {name}", topic, b'{"a": "' + b"x" * LARGE + b'"}', ends)
        yield Bad(f"300 KB of brackets on {name}", topic, b"[" * 300_000, ends)
        yield Bad(f"200 KB of keys on {name}", topic, b"{" + b",".join(b'"%d":0' % n for n in range(20_000)) + b",}", ends)


def all_rows():
    return [*broken(), *archive(), *commands(), *events(), *topics(), *sizes()]
