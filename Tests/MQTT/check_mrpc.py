"""Checks requests and answers by mRPC (section 4 of Azure IoT Operations' protocol, as its SDKs speak it) against a running adapter:
here what a message may and must say; delivery.py has what becomes of repeated, late and interrupted ones. Started by `run`; one line
per check, then "N passed, N failed".

    check_mrpc.py SITE BIN      SITE: a site that broker.py has prepared; BIN: folder of the executables
"""
import json
import os
import sys
import time

import delivery
from broker import Broker
from client import Cut, Invoker, stamp
from harness import ADAPTER, Site, check, check_all, command, expect, finish, legacy, sync, until

SITE, BROKER = Site(sys.argv[1], sys.argv[2]), Broker(sys.argv[1])
OPERATOR = Invoker(BROKER, "operator")
STATE = command("line1", "clips", "state")
# The stream that nobody starts but by a request that should have been refused.
UNTOUCHED = command("line2", "clips", "start")
# What `__ts` was in the last answer that is surely older than the next.
last_stamp = [(0, 0)]


def proper(answer, status="200", node="sightglass"):
    """What every answer has to carry. Gives the answer."""
    request, said = answer.request, answer.properties
    expect(answer.status == status, f"__stat is {answer.status}, not {status}: {answer}")
    expect(answer.correlation == request.correlation, f"correlation data is {answer.correlation}, not {request.correlation}")
    expect(answer.content_type == "application/json", f"content type is {answer.content_type}")
    expect(answer.format_indicator == 1, f"payload format indicator is {answer.format_indicator}")
    # Where the request had none, nothing says what the answer's should be.
    if request.expiry is not None:
        expect(answer.expiry is not None and 1 <= answer.expiry <= request.expiry, f"message expiry is {answer.expiry} of {request.expiry}")
    expect(answer.qos == 1 and not answer.retain, f"QoS {answer.qos}, retain {answer.retain}")
    expect(answer.response_topic is None, f"it has a response topic: {answer.response_topic}")
    expect(said.get("__protVer") == "1.0", f"__protVer is {said.get('__protVer')}")
    expect(said.get("__srcId") == node, f"__srcId is {said.get('__srcId')}")
    expect(said.get("$high_priority") == "", f"$high_priority is {said.get('$high_priority')}")
    expect(len(said) == len(answer.user), f"a user property is there twice: {answer.user}")
    is_ours = {"__stat", "__apErr", "__stMsg", "__protVer", "__srcId", "__ts", "$high_priority", "__propName", "__propVal",
               "__supProtMajVer", "__requestProtVer", "AppErrCode", "AppErrPayload"}
    expect(set(said) <= is_ours, f"unknown user properties: {set(said) - is_ours}")
    expect(answer.stamp, f"__ts is {said.get('__ts')}")
    expect(answer.stamp[2] == node, f"the node of __ts is {answer.stamp[2]}")
    expect(answer.stamp[:2] > last_stamp[0], f"__ts went from {last_stamp[0]} to {answer.stamp[:2]}")
    last_stamp[0] = answer.stamp[:2]
    if status == "200":
        expect(said.get("__apErr") == "false" and "__propName" not in said, said)
        expect(isinstance(answer.json(), dict), f"the payload is no JSON object: {answer}")
    else:
        expect(said.get("__stMsg"), f"no __stMsg says why: {answer}")
        expect(not answer.payload or answer.json() is not None, f"the payload is no JSON: {answer}")
    return answer


def call(topic, payload=b"{}", status="200", **properties):
    return proper(OPERATOR.call(topic, payload, **properties), status)


def refused(answer, name=None, value=None):
    """That an answer names the property that is wrong. `value` None: not said, or not looked at with "*"."""
    said = answer.properties
    expect(said.get("__apErr") == "false", f"__apErr is {said.get('__apErr')}: it is no error of the command")
    expect(said.get("__propName") == name, f"__propName is {said.get('__propName')}, not {name}")
    if value == "*":
        expect(said.get("__propVal"), "__propVal is missing")
    else:
        expect(said.get("__propVal") == value, f"__propVal is {said.get('__propVal')!r}, not {value!r}")


def is_refused(status, name=None, value=None, payload=b"{}", topic=UNTOUCHED, **properties):
    """A request that must be answered with an error, and not be carried out."""
    before = SITE.effects()
    answer = call(topic, payload, status, **properties)
    refused(answer, name, value)
    expect(SITE.effects() == before, "it was carried out all the same")
    return answer


def quiet(request, topic=STATE):
    """That a request has no answer. Two later ones are answered first: by then it would have been."""
    for _ in range(2):
        OPERATOR.call(topic)
    expect(not (answers := OPERATOR.answers(request)), f"it was answered: {answers}")


# --- 4.2: what requests carry, and what answers do --------------------------------------------------------------------------------------


def table_of_accepted():
    """(name, properties of a request that is accepted)"""
    full = [("__ts", stamp()), ("__srcId", "checks"), ("__protVer", "1.0"), ("$partition", OPERATOR.id), ("$high_priority", "")]
    yield "a request as the Rust SDK sends it", {"user_properties": full}
    yield "content type missing", {"content_type": None}
    yield "content type with a parameter", {"content_type": "application/json; charset=utf-8"}
    for value in (None, 0, 1):
        yield f"payload format indicator {value}", {"format_indicator": value}
    for seconds in (5, 60, 4294967295):
        yield f"message expiry {seconds}", {"expiry": seconds}
    yield "correlation data of 16 bytes 0", {"correlation": bytes(16)}
    yield "correlation data of 16 bytes 255", {"correlation": b"\xff" * 16}
    for version in ("1.0", "1.1", "1.65535"):
        yield f"__protVer {version}", {"user_properties": [("__protVer", version)]}
    yield "__ts of the past", {"user_properties": [("__ts", stamp(-86_400))]}
    yield "__ts with a full counter of the past", {"user_properties": [("__ts", stamp(-60, counter=99_999))]}
    yield "__srcId", {"user_properties": [("__srcId", "någon: who/knows")]}
    yield "$partition", {"user_properties": [("$partition", OPERATOR.id)]}
    yield "$high_priority", {"user_properties": [("$high_priority", "")]}
    yield "unknown user properties", {"user_properties": [
        ("traceparent", "00-1-2-01"), ("__unheardOf", "1"), ("", ""), ("a", "1"), ("a", "2")]}
    yield "attributes of CloudEvents", {"user_properties": [
        ("specversion", "1.0"), ("type", "ms.aio.rpc.request"), ("source", "aio://checks"), ("id", "1"), ("subject", STATE)]}


def check_accepted():
    for name, properties in table_of_accepted():
        check(f"4.2 accepted: {name}", lambda: call(STATE, **properties))


def expiry_of_the_answer_is_what_is_left():
    # The registry is slow; time is the subject.
    SITE.pause("asset-registry")
    try:
        request = OPERATOR.request(command("line1", "clips", "stop"), expiry=40)
        time.sleep(2.5)
    finally:
        SITE.resume("asset-registry")
    answer = proper(OPERATOR.answer(request))
    expect(30 <= answer.expiry <= 38, f"{answer.expiry} s of 40 after 2.5 s")


def every_verb_is_answered():
    until("the camera gives pictures", 30, lambda: OPERATOR.call(command("line1", "clips", "capture")).status == "200")
    for verb in ("start", "state", "capture", "stop"):
        answer = call(command("line1", "clips", verb)).json()
        expect((answer["asset"], answer["stream"], answer["accepted"]) == ("line1", "clips", True), answer)


def the_verbs_of_the_preview_are_answered():
    for verb in ("get-task-state", "get-task-debug-info", "get-task-error-string", "get-task-output-string"):
        call(legacy("line1", verb), json.dumps({"datapoint": "clips"}))


def archive_list_and_cancel_are_answered():
    name = f"mrpc-{time.time_ns()}"
    # It has not ended, so the request is open and can be cancelled.
    window = {"start": int((time.time() - 5) * 1000), "durationSeconds": 600}
    accepted = call(sync("archive"), json.dumps({"requestId": name, "cameras": ["line1"], "delivery": "archive", **window})).json()
    expect((accepted["receipt"], accepted["requestId"]) == ("accepted", name), accepted)
    listed = call(sync("list"))
    expect(name in json.dumps(listed.json()), f"it is not listed: {listed}")
    call(sync("cancel"), json.dumps({"requestId": name}))
    expect(SITE.requests()[name] == "CANCELLED", SITE.requests())


def an_event_is_answered():
    name = f"event-{time.time_ns()}"
    event = {"eventId": name, "timestamp": int(time.time() * 1000), "cameras": ["line1"], "preSeconds": 2, "postSeconds": 1}
    answer = call(sync("events"), json.dumps(event)).json()
    expect((answer["key"], answer["receipt"]) == (name, "accepted"), answer)


# --- 4.3: errors, in the order in which they count --------------------------------------------------------------------------------------


def table_of_errors():
    """(name, status, __propName, __propVal, what is wrong with the request)"""
    yield "correlation data missing", "400", "Correlation Data", None, {"correlation": None}
    for length in (1, 15, 17, 32, 1024):
        yield f"correlation data of {length} bytes", "400", "Correlation Data", "*", {"correlation": os.urandom(length)}
    # A GUID as text is not one as bytes.
    yield "correlation data as text", "400", "Correlation Data", "*", {"correlation": b"0d7a4e3c-5b6f-4b53-8f09-4f7fd1b7a6a1"}
    yield "message expiry missing", "400", "Message Expiry", None, {"expiry": None}
    for kind in ("text/plain", "application/octet-stream", "application/json-seq", "application/cbor", "json", "application/json2; a=b"):
        yield f"content type {kind}", "415", "Content Type", kind, {"content_type": kind}
    for text in ("abc", "1", "000001696374425:00000", "x:00000:node", "000001696374425:y:node", "-00001696374425:00000:node",
                 "000001696374425:-0001:node", ":::", "99999999999999999999999:00000:node", "2025-11-23T04:05:06Z"):
        yield f"__ts {text}", "400", "__ts", text, {"user_properties": [("__ts", text)]}


def check_errors():
    for name, status, prop, value, wrong in table_of_errors():
        check(f"4.3 {status}: {name}", lambda: is_refused(status, prop, value, **wrong))
    for version in ("2.0", "0.1", "10.0", "abc", "1.x", "x.1", "-1.0", "1.0.x"):
        check(f"4.3 505: __protVer {version}", version_is_refused, version)
    for ahead in (65, 3600, 10 ** 9):
        check(f"4.3 503: __ts {ahead} s ahead", lambda: is_refused("503", "MaxClockDrift", "*", user_properties=[("__ts", stamp(ahead))]))


def version_is_refused(version):
    answer = call(UNTOUCHED, status="505", user_properties=[("__protVer", version)])
    said = answer.properties
    expect(said.get("__supProtMajVer") == "1" and said.get("__requestProtVer") == version, said)
    expect(said.get("__apErr") == "false", said)
    expect(not SITE.desired("line2", "clips").running, "it was carried out all the same")


def check_order():
    """Several errors at once: the first that applies is told."""
    text, old, wrong = "text/plain", ("__protVer", "9.9"), ("__ts", "never")
    for name, status, prop, properties in [
            ("correlation before expiry", "400", "Correlation Data", {"correlation": None, "expiry": None, "content_type": text}),
            ("expiry before content type", "400", "Message Expiry", {"expiry": None, "content_type": text, "user_properties": [old, wrong]}),
            ("content type before version", "415", "Content Type", {"content_type": text, "user_properties": [old, wrong]}),
            ("version before __ts", "505", None, {"user_properties": [wrong, old]}),
            ("__ts before payload", "400", "__ts", {"payload": b"{", "user_properties": [wrong]})]:
        def told():
            answer = call(UNTOUCHED, status=status, **properties)
            expect(answer.properties.get("__propName") == prop, answer)
        check(f"4.3 order: {name}", told)
    check("4.3 order: payload before unknown stream", lambda: is_refused("400", payload=b"[]", topic=command("line2", "none", "start")))


def check_payloads():
    for name, payload in [("no JSON", b"{not json"), ("an array", b"[]"), ("a number", b"1"), ("invalid UTF-8", b'{"a":"\xff"}'),
                          ("timeLimitSeconds 0", b'{"timeLimitSeconds": 0}'), ("timeLimitSeconds a text", b'{"timeLimitSeconds": "60"}'),
                          ("duration 0", b'{"duration": 0}'), ("more than 16 KiB", b'{"a": "' + b"x" * 17_000 + b'"}')]:
        check(f"4.3 400: start, payload is {name}", lambda: is_refused("400", payload=payload))
    for topic, payload in [(legacy("line1", "get-task-state"), b""), (legacy("line1", "get-task-state"), b"{}"),
                           (legacy("line1", "get-task-state"), b'{"datapoint": 1}'), (sync("archive"), b""), (sync("archive"), b"{}"),
                           (sync("cancel"), b""), (sync("cancel"), b"{}"), (sync("events"), b""), (sync("events"), b"{}"),
                           (sync("list"), b"[]")]:
        name = f"4.3 400: {topic.split('/', 1)[1]}, payload is {payload.decode() or 'absent'}"
        check(name, lambda: is_refused("400", payload=payload, topic=topic))


def check_unusable_response_topics():
    for topic in [None, "", "clients/+/x", "clients/#", "#", "+", "$SYS/x", "$share/g/x", "clients/\u0001", "x" * 2000, UNTOUCHED, STATE,
                  legacy("line1", "get-task-state"), sync("archive"), sync("cancel"), sync("list"), sync("events")]:
        def nothing_happens():
            before = SITE.effects()
            with Invoker(BROKER, "operator") as invoker:
                try:
                    request = invoker.request(UNTOUCHED, response_topic=topic)
                except Cut:
                    # The broker takes it for malformed: the adapter never sees it.
                    return
                for _ in range(2):
                    OPERATOR.call(command("line2", "clips", "state"))
                expect(not (answers := invoker.answers(request)), f"it was answered: {answers}")
            expect(SITE.effects() == before, "it was carried out all the same")
        check(f"4.3 no answer: response topic {'missing' if topic is None else repr(topic[:60])}", nothing_happens)


def check_application_errors():
    def not_found(topic, payload=b"{}"):
        before = SITE.effects()
        said = call(topic, payload, "500").properties
        expect(said.get("__apErr") == "true", f"__apErr is {said.get('__apErr')}")
        expect(said.get("AppErrCode") == "not_found", f"AppErrCode is {said.get('AppErrCode')}")
        expect(json.loads(said.get("AppErrPayload", "")) is not None, "AppErrPayload is no JSON")
        expect(SITE.effects() == before, "something was changed")
    for verb in ("start", "stop", "state", "capture"):
        check(f"4.3 500: {verb} of an unknown stream", not_found, command("line1", "none", verb))
        check(f"4.3 500: {verb} of an unknown asset", not_found, command("none", "clips", verb))
    for verb in ("get-task-state", "get-task-debug-info", "get-task-error-string", "get-task-output-string"):
        check(f"4.3 500: {verb} of an unknown stream", not_found, legacy("line1", verb), b'{"datapoint": "none"}')
        check(f"4.3 500: {verb} of an unknown asset", not_found, legacy("none", verb), b'{"datapoint": "clips"}')


def a_neighbour_that_is_away_is_503():
    SITE.control("stop", "asset-registry")
    try:
        answer = call(UNTOUCHED, status="503", expiry=30, seconds=25)
        expect(answer.properties.get("__apErr") == "false", answer)
    finally:
        SITE.control("start", "asset-registry")
        SITE.until_ready("asset-registry")
        SITE.until_ready(ADAPTER)
    expect(not SITE.desired("line2", "clips").running, "it was kept and carried out later")


def work_without_an_end_is_ended():
    # It neither answers nor is it gone. The adapter gives up before the request expires, and says so.
    SITE.pause("asset-registry")
    try:
        answer = OPERATOR.call(UNTOUCHED, expiry=60, seconds=30)
    finally:
        SITE.resume("asset-registry")
        SITE.until_ready("asset-registry")
    expect(answer.status in ("408", "503"), answer)
    proper(answer, answer.status)
    expect(answer.properties.get("__apErr") == "false", answer)
    # The registry may have had the request in its socket; what it did with it then is not the subject.
    SITE.set_desired("line2", "clips", False)


def a_request_that_expires_during_the_work_is_not_answered():
    SITE.pause("asset-registry")
    try:
        request = OPERATOR.request(UNTOUCHED, expiry=1)
        # Time is the subject: an answer would be for nobody from now on.
        time.sleep(2.5)
    finally:
        SITE.resume("asset-registry")
        SITE.until_ready("asset-registry")
    quiet(request, command("line2", "clips", "state"))
    SITE.set_desired("line2", "clips", False)


def main():
    check_accepted()
    check_all("4.2", [expiry_of_the_answer_is_what_is_left, every_verb_is_answered, the_verbs_of_the_preview_are_answered,
                      archive_list_and_cancel_are_answered, an_event_is_answered])
    check_errors()
    check_order()
    check_payloads()
    check_unusable_response_topics()
    check_application_errors()
    check_all("4.3", [a_neighbour_that_is_away_is_503, work_without_an_end_is_ended, a_request_that_expires_during_the_work_is_not_answered])
    delivery.check_delivery(SITE, BROKER, OPERATOR, proper)
    return finish()


sys.exit(main())
