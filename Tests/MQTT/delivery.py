"""Checks of `check_mrpc.py`: what becomes of repeated, late and interrupted requests (4.1, 4.5), where answers go (4.4), the clock
(4.6), and what the adapter makes of messages that are no requests: plain publishes, receipts, retained states."""
import datetime
import json
import os
import re
import signal
import subprocess
import time

from client import Invoker, stamp
from harness import ADAPTER, check_all, command, expect, legacy, sync, until
from broker import NAMESPACE

ODD_ASSET, ODD_STREAM = "Füllung +1#%", "clips {a} b"
ODD = f"""
kind: Asset
name: "{ODD_ASSET}"
properties:
  enabled: true
  deviceRef: {{ deviceName: line2-camera, endpointName: main }}
  streams:
    - name: "{ODD_STREAM}"
      streamConfiguration: '{{"taskType": "clip-to-fs", "autostart": false, "format": "mp4", "duration": 5}}'
"""


def check_delivery(site, broker, operator, proper):
    """`proper` is check_mrpc's look at an answer."""
    start, stop = command("line1", "clips", "start"), command("line1", "clips", "stop")
    capture = command("line1", "clips", "capture")

    def call(topic, payload=b"{}", status="200", **properties):
        return proper(operator.call(topic, payload, **properties), status)

    def run_id():
        return site.desired("line1", "clips").run_id

    def started(topic=start, **properties):
        """Starts line1/clips, which did not run, by a request; gives the answer."""
        site.set_desired("line1", "clips", False)
        return call(topic, **properties)

    def again(request, **changes):
        """The same request once more, as a broker or an impatient invoker sends it."""
        return operator.request(**{"topic": start, "correlation": request.correlation, "response_topic": request.response_topic,
                                   "expiry": 60, **changes})

    # --- 4.1 and 4.5: once, however often ----------------------------------------------------------------------------------------------

    def a_repeated_request_is_answered_again_and_not_carried_out_again():
        first = started(expiry=60)
        began = run_id()
        site.set_desired("line1", "clips", False)
        before = site.cursor()
        for _ in range(3):
            copy = operator.answer(again(first.request))
            expect((copy.payload, copy.status) == (first.payload, "200"), f"{copy} is not {first}")
        expect(not site.desired_since(before) and not site.desired("line1", "clips").running, "it was carried out again")
        expect(first.json()["runId"] == began, first)
        until("no further answer is due", 5, lambda: len(operator.answers(first.request)) == 4)

    def a_repeated_capture_takes_no_other_picture():
        until("the camera gives pictures", 30, lambda: operator.call(capture).status == "200")
        first = call(capture, expiry=60)
        # A keyframe later a new picture would be another one.
        until("there is a newer picture", 20, lambda: call(capture).json()["path"] != first.json()["path"])
        copy = operator.answer(again(first.request, topic=capture))
        expect(copy.payload == first.payload, f"{copy} is not {first}")

    def a_repeated_refusal_is_the_same_refusal():
        first = call(command("line1", "none", "start"), status="500", expiry=60)
        copy = operator.answer(again(first.request, topic=command("line1", "none", "start")))
        expect((copy.payload, copy.status) == (first.payload, first.status), f"{copy} is not {first}")
        expect(copy.properties.get("AppErrCode") == first.properties.get("AppErrCode"), copy)

    def other_correlation_data_is_another_request():
        first = started().json()["runId"]
        site.set_desired("line1", "clips", False)
        second = call(start).json()["runId"]
        expect(first != second and run_id() == second, f"run {first}, then {second}; the registry says {run_id()}")

    def the_same_correlation_data_for_another_response_topic_is_another_request():
        first = started(expiry=60)
        site.set_desired("line1", "clips", False)
        other = operator.answer(again(first.request, response_topic=f"clients/{operator.id}/elsewhere"))
        expect(other.status == "200" and other.json()["runId"] != first.json()["runId"], f"{other} is the answer to another invoker")

    def a_repetition_while_the_first_runs_is_answered_too():
        site.set_desired("line1", "clips", False)
        before = site.cursor()
        site.pause("asset-registry")
        try:
            request = operator.request(start, expiry=60)
            for _ in range(2):
                again(request)
            # Time for all three to reach the adapter; nothing tells from outside that they have.
            time.sleep(0.5)
        finally:
            site.resume("asset-registry")
        answers = [operator.answer(request, number=n) for n in (1, 2, 3)]
        expect({a.status for a in answers} == {"200"} and len({a.payload for a in answers}) == 1, answers)
        expect(site.desired_since(before) == ["line1/clips"], f"it was carried out {len(site.desired_since(before))} times")

    def a_quick_request_is_answered_before_a_slow_one_and_both_are_acknowledged_together():
        """Acknowledgements leave in the order of arrival, so none has left while the first is at work: killed then, both come again,
        and what was answered already is not carried out a second time."""
        site.set_desired("line2", "clips", True)
        before = site.cursor()
        site.pause("capture-controller")
        try:
            slow = operator.request(command("line1", "clips", "state"), expiry=60)
            quick = operator.request(command("line2", "clips", "stop"), expiry=60)
            operator.answer(quick)
            expect(not operator.answers(slow), "the slow one is answered already")
            site.signal(ADAPTER, signal.SIGKILL)
            until("the adapter is gone", 5, lambda: not is_alive())
        finally:
            site.resume("capture-controller")
        site.control("start", ADAPTER)
        expect(operator.answer(slow, 30).status == "200", "the slow one")
        # Its second copy.
        expect(operator.answer(quick, 30, number=2).status == "200", "the quick one did not come again")
        expect(site.desired_since(before) == ["line2/clips"], f"it was carried out {len(site.desired_since(before))} times")
        site.until_ready(ADAPTER)

    def a_repetition_after_a_restart_is_not_carried_out_again():
        first = started(expiry=120)
        before = site.cursor()
        site.restart_adapter()
        copy = operator.answer(again(first.request, expiry=100))
        expect(copy.status == "200" and copy.json()["runId"] == first.json()["runId"], f"{copy} is not {first}")
        expect(not site.desired_since(before), "it was carried out again")

    def many_requests_at_once_are_all_answered():
        requests = [operator.request(command(asset, "clips", "state"), expiry=60) for asset in ("line1", "line2", "dock") * 20]
        for request in requests:
            expect(operator.answer(request, 30).status == "200", "one failed")
        expect(all(len(operator.answers(r)) == 1 for r in requests), "one was answered twice")

    def a_request_that_expires_while_the_adapter_is_away_is_nobodys():
        site.set_desired("line1", "clips", False)
        before = site.cursor()
        site.control("stop", ADAPTER)
        request = operator.request(start, expiry=1)
        # Time is the subject.
        time.sleep(2.2)
        site.control("start", ADAPTER)
        site.until_ready(ADAPTER)
        for _ in range(2):
            call(command("line1", "clips", "state"))
        expect(not operator.answers(request), f"it was answered: {operator.answers(request)}")
        expect(not site.desired_since(before), "it was carried out")

    def a_request_while_the_adapter_is_away_is_answered_after_its_return():
        site.set_desired("line1", "clips", False)
        before = site.cursor()
        site.control("stop", ADAPTER)
        request = operator.request(start, expiry=60)
        site.control("start", ADAPTER)
        proper(operator.answer(request, 30))
        expect(site.desired_since(before) == ["line1/clips"], site.desired_since(before))

    def killed_with_a_request(hold):
        """The adapter is killed when it has, or may have, a request; the next one answers it."""
        site.set_desired("line1", "clips", False)
        before = site.cursor()
        if hold:
            site.pause("asset-registry")
        try:
            request = operator.request(start, expiry=60)
            site.signal(ADAPTER, signal.SIGKILL)
            until("the adapter is gone", 5, lambda: not is_alive())
            site.control("start", ADAPTER)
        finally:
            if hold:
                site.resume("asset-registry")
        # Where it was killed only after the answer had left, this is that answer.
        answer = operator.answer(request, 30)
        expect(answer.status == "200", answer)
        site.until_ready(ADAPTER)
        expect(site.desired_since(before) == ["line1/clips"], f"it was carried out {len(site.desired_since(before))} times")
        expect(answer.json()["runId"] == run_id(), f"{answer}, but the run is {run_id()}")

    def is_alive():
        """A zombie is none; its parent, the site's script, has ended long ago and nobody may have reaped it yet."""
        try:
            state = open(f"/proc/{site.pid(ADAPTER)}/stat").read().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        return state != "Z"

    def killed_right_after_a_request_it_is_answered_after_the_restart():
        for _ in range(3):
            killed_with_a_request(hold=False)

    def killed_during_a_request_it_is_answered_after_the_restart():
        killed_with_a_request(hold=True)

    # --- 4.4: topics --------------------------------------------------------------------------------------------------------------------

    def answers_go_to_whatever_topic_was_named():
        state = command("line1", "clips", "state")
        for topic in [f"clients/{operator.id}/{state}", f"invokers/a/{state}", f"{state}/answer/of/{operator.id}",
                      f"{NAMESPACE}/answers/{operator.id}/state", "invokers/é ü/{token}/x", f"invokers/{'x' * 900}"]:
            operator.subscribe(topic)
            call(state, response_topic=topic)

    def names_with_characters_that_mean_something_in_a_topic():
        issues = [issue.message for document in site.apply(ODD).documents for issue in document.issues]
        expect(not issues, issues)
        plain = f"{NAMESPACE}/asset-operations/{ODD_ASSET}/{ODD_STREAM}/state"
        plain = plain.replace("%", "%25").replace("+", "%2B").replace("#", "%23")
        for topic in (command(ODD_ASSET, ODD_STREAM, "state"), plain):
            answer = until("the adapter knows the stream", 15, lambda: found if (found := operator.call(topic)).status == "200" else None)
            expect((answer.json()["asset"], answer.json()["stream"]) == (ODD_ASSET, ODD_STREAM), answer)
        call(command(ODD_ASSET, ODD_STREAM, "stop"))
        call(legacy(ODD_ASSET, "get-task-state"), json.dumps({"datapoint": ODD_STREAM}))

    def mosquitto_rr_is_answered_too():
        for name, status in [("clips", "__stat:200"), ("none", "__stat:500")]:
            # Another request, so other correlation data: the response topic is the same, as it would be for one program.
            correlation = os.urandom(8).hex()
            ran = subprocess.run(
                ["mosquitto_rr", "-q", "1", "-t", command("line1", name, "state"), "-e", f"clients/rr/{os.getpid()}", "-m", "{}", "-W", "15",
                 "-D", "publish", "correlation-data", correlation, "-D", "publish", "message-expiry-interval", "15",
                 "-D", "publish", "content-type", "application/json", "-F", "%D|%C|%P|%p"],
                env=broker.environment("operator"), capture_output=True, text=True, timeout=30)
            expect(ran.stdout.startswith(f"{correlation}|application/json|") and status in ran.stdout, f"{ran.stdout}{ran.stderr}")

    # --- 4.6: the clock -----------------------------------------------------------------------------------------------------------------

    def stamps_only_grow_and_are_spread_over_a_millisecond_by_the_counter():
        # `proper` compares each with the one before.
        for _ in range(50):
            call(command("line1", "clips", "state"))

    def a_stamp_lies_after_that_of_the_request():
        for ahead, counter in [(1, 0), (20, 500), (55, 99_000)]:
            theirs = stamp(ahead, counter=counter)
            ours = call(command("line1", "clips", "state"), user_properties=[("__ts", theirs)]).stamp
            expect(ours[:2] > (int(theirs[:15]), int(theirs[16:21])), f"{ours} after {theirs}")
        # The next does not go back, although its request says nothing.
        expect(call(command("line1", "clips", "state")).stamp[:2] > ours[:2], "it went back")

    # --- What is no request -------------------------------------------------------------------------------------------------------------

    watcher = Invoker(broker, "guest", [f"{NAMESPACE}/#"])

    def plain(topic, payload=b"{}", **properties):
        """A plain publish of a verb: (the answer below its topic, what is retained as the stream's last command)."""
        asset, stream, verb = topic.split("/")[-3:]
        mark = watcher.mark()
        operator.publish(topic, payload, **properties)
        answer = watcher.next(mark, lambda m: m.topic == f"{topic}/response", 15, f"an answer on {topic}/response")
        last = f"{NAMESPACE}/asset-status/{asset}/{stream}/last-command"
        kept = watcher.next(mark, lambda m: m.topic == last, 15, f"a message on {last}").json()
        expect(kept["verb"] == verb, kept)
        said = datetime.datetime.fromisoformat(kept["time"].replace("Z", "+00:00")).timestamp()
        # The clock of the stamps may be ahead by now, that of the status must not be.
        expect(abs(said - time.time()) < 30, kept)
        return answer, kept

    def retained(topic):
        """What the broker keeps on a topic, as mosquitto_sub is given it."""
        ran = subprocess.run(["mosquitto_sub", "-t", topic, "-C", "1", "-W", "5", "--retained-only"],
                             env=broker.environment("guest"), capture_output=True, text=True, timeout=15)
        return json.loads(ran.stdout) if ran.stdout else None

    def a_plain_publish_is_carried_out_and_answered():
        site.set_desired("line1", "clips", False)
        for verb, running in [("start", True), ("state", True), ("stop", False)]:
            answer, kept = plain(command("line1", "clips", verb))
            expect(answer.json()["accepted"] is True and site.desired("line1", "clips").running == running, answer)
            expect(kept["accepted"] is True and "error" not in kept, kept)
            expect(answer.correlation is None, answer)
            expect(retained(f"{NAMESPACE}/asset-status/line1/clips/last-command") == kept, "the broker does not keep it")

    def a_plain_publish_twice_acts_twice():
        site.set_desired("line1", "clips", False)
        runs = []
        for verb in ("start", "stop", "start", "stop"):
            runs.append(plain(command("line1", "clips", verb))[0].json().get("runId"))
        expect(runs[0] and runs[2] and runs[0] != runs[2], runs)

    def a_plain_publish_that_is_refused_says_why():
        answer, kept = plain(command("line1", "clips", "start"), b'{"timeLimitSeconds": 0}')
        expect(answer.json()["accepted"] is False and kept["accepted"] is False, f"{answer} {kept}")
        expect(kept["error"]["code"] == "invalid_argument" and kept["error"]["message"], kept)
        expect(kept["error"]["field"] == "timeLimitSeconds", kept)
        answer, _ = plain(command("line1", "clips", "start"), b"[")
        expect(answer.json()["error"]["message"], answer)

    def mosquitto_pub_is_enough():
        mark = watcher.mark()
        topic = command("line1", "clips", "state")
        subprocess.run(["mosquitto_pub", "-q", "1", "-t", topic, "-m", "{}"], env=broker.environment("operator"), check=True, timeout=15)
        watcher.next(mark, lambda m: m.topic == f"{topic}/response" and m.json()["accepted"], 15, "the answer")

    def the_verbs_of_the_preview_answer_a_plain_publish():
        for verb in ("get-task-state", "get-task-debug-info", "get-task-error-string", "get-task-output-string"):
            mark = watcher.mark()
            operator.publish(legacy("line1", verb), b'{"datapoint": "clips"}')
            watcher.next(mark, lambda m: m.topic == f"{legacy('line1', verb)}/response", 15, f"the answer to {verb}")

    def archive_requests_leave_a_receipt_and_a_state():
        name = f"plain-{time.time_ns()}"
        ask = {"requestId": name, "cameras": ["line1"], "start": int((time.time() - 6) * 1000), "durationSeconds": 3, "delivery": "archive"}
        operator.publish(sync("archive"), json.dumps(ask))
        receipt = until("there is a receipt", 15, lambda: retained(sync(f"receipts/{name}")))
        expect((receipt["key"], receipt["receipt"], receipt["requestId"]) == (name, "accepted", name), receipt)
        state = until("the request has ended", 60, lambda: found if (found := retained(sync(f"requests/{name}"))) and
                      re.fullmatch("done|partial|failed", found["state"]) else None)
        expect(state["requestId"] == name and site.requests()[name] == state["state"].upper(), f"{state} {site.requests()[name]}")
        # The same message again is the same request.
        operator.publish(sync("archive"), json.dumps(ask))
        until("the receipt says so", 15, lambda: retained(sync(f"receipts/{name}"))["receipt"] == "duplicate")
        expect(list(site.requests()).count(name) == 1, site.requests())

    check_all("4.1, 4.5", [
        a_repeated_request_is_answered_again_and_not_carried_out_again, a_repeated_capture_takes_no_other_picture,
        a_repeated_refusal_is_the_same_refusal, other_correlation_data_is_another_request,
        the_same_correlation_data_for_another_response_topic_is_another_request, a_repetition_while_the_first_runs_is_answered_too,
        a_quick_request_is_answered_before_a_slow_one_and_both_are_acknowledged_together,
        a_repetition_after_a_restart_is_not_carried_out_again, many_requests_at_once_are_all_answered,
        a_request_that_expires_while_the_adapter_is_away_is_nobodys, a_request_while_the_adapter_is_away_is_answered_after_its_return,
        killed_right_after_a_request_it_is_answered_after_the_restart, killed_during_a_request_it_is_answered_after_the_restart])
    check_all("4.4", [
        answers_go_to_whatever_topic_was_named, names_with_characters_that_mean_something_in_a_topic, mosquitto_rr_is_answered_too])
    check_all("4.6", [stamps_only_grow_and_are_spread_over_a_millisecond_by_the_counter, a_stamp_lies_after_that_of_the_request])
    check_all("plain", [
        a_plain_publish_is_carried_out_and_answered, a_plain_publish_twice_acts_twice, a_plain_publish_that_is_refused_says_why,
        mosquitto_pub_is_enough, the_verbs_of_the_preview_answer_a_plain_publish, archive_requests_leave_a_receipt_and_a_state])
    watcher.close()
