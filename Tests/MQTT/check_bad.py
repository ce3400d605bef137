"""Sends the adapter of a running site what means nothing, plainly and as requests by mRPC. Each message ends with a clear answer, a
receipt or nothing; registry and indexer know nothing of it, and the adapter is the same process, ready as before. Started by `run`;
one line per check, then "N passed, N failed".

    check_bad.py SITE BIN      SITE: a site that broker.py has prepared; BIN: folder of the executables
"""
import os
import sys
import time

from bad_inputs import (ARCHIVE, CANCEL, CAPTURE, EVENTS, LARGE, LIST, NOTHING, REFUSED, START, STATE, STOP, TASK_STATE, all_rows,
                        archive_body, text)
from broker import NAMESPACE, Broker
from client import NOT_AUTHORIZED, Cut, Invoker
from harness import ADAPTER, Site, check, check_all, expect, finish, sync, until

SITE, BROKER = Site(sys.argv[1], sys.argv[2]), Broker(sys.argv[1])
OPERATOR, GUEST = Invoker(BROKER, "operator"), Invoker(BROKER, "guest", [f"{NAMESPACE}/#", "clients/#"])
# What the adapter is in the beginning and has to be after each message.
PID = SITE.pid(ADAPTER)
# Longest wait for an answer. The adapter knows at once what is bad, but a payload of 5 MB is on its way for a while.
PATIENCE = 10


def is_refusal(topic):
    """Recognizes what says that a message was refused: an answer below its topic, or a receipt that names it."""
    def found(message):
        if message.topic == f"{topic}/response":
            return message.json().get("accepted") is False or message.json().get("error")
        if message.topic.startswith(sync("receipts/")) and message.payload:
            receipt = message.json()
            return receipt.get("topic") == topic and receipt.get("receipt") == "rejected"
        return False
    return found


def is_word(topic):
    """Recognizes whatever the adapter says about a message; what `barrier` sends is not meant."""
    def found(message):
        if not message.topic.startswith(sync("receipts/")) or not message.payload:
            return message.topic == f"{topic}/response"
        return message.json().get("topic") == topic and message.json().get("key") != "barrier"
    return found


def barrier():
    """Waits until the adapter has dealt with all that was sent before: twice one more request for each of its sessions."""
    for _ in range(2):
        OPERATOR.call(STATE, seconds=PATIENCE)
        OPERATOR.call(CANCEL, text({"requestId": "barrier"}), seconds=PATIENCE)


def is_unmoved(before):
    expect(SITE.is_running(ADAPTER) and SITE.pid(ADAPTER) == PID, "the adapter has died")
    expect(SITE.is_ready(ADAPTER), "the adapter is not ready any more")
    after = SITE.effects()
    expect(after == before, f"it had an effect: {before} became {after}")


def without_effect(function, *arguments):
    before = SITE.effects()
    function(*arguments)
    is_unmoved(before)


def said_plainly(row, qos=1):
    """Publishes a row plainly and looks at how it ends."""
    mark = GUEST.mark()
    reason = OPERATOR.publish(row.topic, row.payload, qos=qos)
    expect(reason < 128, f"the broker refuses it: reason {reason}")
    if row.ends == (REFUSED,):
        word = GUEST.next(mark, is_refusal(row.topic), PATIENCE, f"a refusal of a message on {row.topic[:100]}")
        error = word.json().get("error")
        expect(error and error.get("code") and error.get("message"), f"it does not say why: {word}")
        if row.field:
            expect(row.field in f"{error.get('field')} {error['message']}", f"it does not name {row.field}: {error}")
    else:
        barrier()
        words = GUEST.since(mark, is_word(row.topic))
        refusals = [word for word in words if is_refusal(row.topic)(word)]
        expect(not words if row.ends == (NOTHING,) else len(words) == len(refusals), f"it was answered: {words}")


def said_as_request(row):
    """Sends a row as a request and looks at how it is answered."""
    if row.statuses and None not in row.statuses:
        answer = OPERATOR.call(row.topic, row.payload, seconds=PATIENCE)
        expect(answer.status in row.statuses, f"__stat is {answer.status}, not {' or '.join(row.statuses)}: {answer}")
        expect(answer.properties.get("__stMsg"), f"no __stMsg says why: {answer}")
        if answer.status == "400":
            expect("__propName" not in answer.properties, f"it blames a property: {answer}")
    else:
        request = OPERATOR.request(row.topic, row.payload)
        barrier()
        answers = OPERATOR.answers(request)
        allowed = [status for status in row.statuses if status]
        expect(all(answer.status in allowed for answer in answers), f"it was answered: {answers}")


def check_table():
    for row in all_rows():
        check(f"plainly: {row.name}", without_effect, said_plainly, row)
        check(f"as a request: {row.name}", without_effect, said_as_request, row)
    for row in [r for r in all_rows() if r.name.startswith(("array on", "NaN on", "5 MB of zeros"))]:
        check(f"with QoS 0: {row.name}", without_effect, said_plainly, row, 0)


# --- Who may not ------------------------------------------------------------------------------------------------------------------------


def check_guest():
    for topic, payload in [(START, b"{}"), (STOP, b"{}"), (STATE, b"{}"), (CAPTURE, b"{}"), (TASK_STATE, b'{"datapoint": "clips"}'),
                           (ARCHIVE, text(archive_body("guest"))), (CANCEL, b'{"requestId": "x"}'), (LIST, b"{}"),
                           (EVENTS, text({"timestamp": int(time.time() * 1000), "cameras": ["line1"]}))]:
        def nothing_happens():
            mark = GUEST.mark()
            reason = GUEST.publish(topic, payload)
            expect(reason == NOT_AUTHORIZED, f"PUBACK has reason {reason}")
            request = GUEST.request(topic, payload, response_topic="guests/answer")
            expect(request.reason == NOT_AUTHORIZED, f"PUBACK of a request has reason {request.reason}")
            # Without PUBACK the broker passes it over in silence.
            GUEST.publish(topic, payload, qos=0)
            barrier()
            expect(not (words := GUEST.since(mark, is_word(topic))), f"the adapter says: {words}")
        check(f"guest: {topic.split('/', 1)[1]}", without_effect, nothing_happens)


# --- Properties -------------------------------------------------------------------------------------------------------------------------


def check_properties():
    large = "x" * 60_000
    for name, properties in {
            "100 user properties": {"user_properties": [(f"name{n}", "value" * 10) for n in range(100)]},
            "1000 user properties of one name": {"user_properties": [("same", str(n)) for n in range(1000)]},
            "a user property of 60 KB": {"user_properties": [("large", large)]},
            "a name of a user property of 60 KB": {"user_properties": [(large, "x")]},
            "__srcId of 60 KB": {"user_properties": [("__srcId", large)]},
            "$partition of 60 KB": {"user_properties": [("$partition", large)]},
            "user properties with odd letters": {"user_properties": [("\U0001f3a5", "\u202e"), ("a\u0301", "="), ("", "")]}}.items():
        def is_accepted():
            expect((answer := OPERATOR.call(STATE, seconds=PATIENCE, **properties)).status == "200", answer)
        check(f"accepted: {name}", without_effect, is_accepted)
    for name, status, properties in [
            ("__ts of 60 KB", "400", {"user_properties": [("__ts", large)]}), ("content type of 60 KB", "415", {"content_type": large}),
            ("__protVer of 60 KB", "505", {"user_properties": [("__protVer", large)]}),
            ("correlation data of 60 KB", "400", {"correlation": os.urandom(60_000)}),
            ("correlation data of 65535 bytes", "400", {"correlation": os.urandom(65_535)}),
            ("empty correlation data", "400", {"correlation": b""}),
            ("__ts twice", "400", {"user_properties": [("__ts", "a"), ("__ts", "b")]}),
            ("__protVer twice", "505", {"user_properties": [("__protVer", "2.0"), ("__protVer", "3.0")]})]:
        def is_refused():
            expect((answer := OPERATOR.call(START, seconds=PATIENCE, **properties)).status == status, answer)
        check(f"refused: {name}", without_effect, is_refused)
    for topic in ("nobody/answers", "$SYS/broker", "clients/+/x", "", "y" * 60_000, START, ARCHIVE, EVENTS):
        def nobody_hears():
            with Invoker(BROKER, "operator") as invoker:
                try:
                    request = invoker.request(STATE, response_topic=topic)
                except Cut:
                    # The broker takes it for malformed: the adapter never sees it.
                    return
                barrier()
                expect(not (answers := invoker.answers(request)), f"it was answered: {answers}")
        check(f"no answer: response topic {topic[:40]!r}", without_effect, nobody_hears)


# --- The retain flag --------------------------------------------------------------------------------------------------------------------


def a_live_command_with_the_retain_flag_acts():
    SITE.set_desired("line1", "clips", False)
    before = SITE.cursor()
    expect(OPERATOR.publish(START, b"{}", retain=True) < 128, "the broker refuses it")
    until("the task is started", PATIENCE, lambda: SITE.desired_since(before))
    expect(SITE.desired_since(before) == ["line1/clips"], SITE.desired_since(before))
    SITE.set_desired("line1", "clips", False)


def a_kept_command_does_not_act_when_the_adapter_starts():
    before = SITE.cursor()
    SITE.restart_adapter()
    barrier()
    expect(not SITE.desired_since(before), "the broker's copy acted")


def a_kept_command_does_not_act_on_a_new_session():
    """Where the broker does not know the client it sends what it keeps to each new subscription, unless it is asked not to."""
    file = SITE.folder / f"config/{ADAPTER}.yaml"
    settings, before = file.read_text(), SITE.cursor()
    # One that was there before is kept like every session, with what was published for it since.
    file.write_text(settings + f"client-id: sightglass-{time.time_ns()}\n")
    try:
        SITE.restart_adapter()
        barrier()
        expect(not SITE.desired_since(before), f"the broker's copy acted: {SITE.desired('line1', 'clips')}")
    finally:
        file.write_text(settings)
        SITE.restart_adapter()
        OPERATOR.publish(START, b"", retain=True)
        until("what the broker kept is gone, and what that started is stopped", 15, nothing_runs)


def nothing_runs():
    """An empty retained message removes what the broker keeps; as a command it is a start as configured."""
    barrier()
    SITE.set_desired("line1", "clips", False)
    return not SITE.desired("line1", "clips").running


# --- At the end -------------------------------------------------------------------------------------------------------------------------


def the_log_tells_of_no_crash_and_is_small():
    log = (SITE.folder / f"logs/{ADAPTER}.log").read_bytes()
    for word in (b"Fatal error", b"Crash", b"Segmentation", b"AddressSanitizer"):
        expect(word not in log, f"it says {word.decode()}")
    # What was sent must not be in it: of each message a line.
    expect(len(log) < LARGE, f"it has {len(log)} bytes")
    longest = max(map(len, log.splitlines()), default=0)
    expect(longest < 10_000, f"a line of it has {longest} bytes")


def the_adapter_has_not_grown():
    """Messages of 5 MB went through it; a leak of them would be hundreds of MB."""
    status = open(f"/proc/{SITE.pid(ADAPTER)}/status").read()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) // 1024
    expect(resident < 300, f"it has {resident} MB")


def main():
    # Receipts of earlier parts are not the answers to what is sent now, and the cameras are there.
    SITE.set_desired("line1", "clips", False)
    check_table()
    check_guest()
    check_properties()
    check_all("afterwards", [the_log_tells_of_no_crash_and_is_small, the_adapter_has_not_grown])
    check_all("retain", [a_live_command_with_the_retain_flag_acts, a_kept_command_does_not_act_when_the_adapter_starts,
                         a_kept_command_does_not_act_on_a_new_session])
    return finish()


sys.exit(main())
