"""What events ask for, once end to end: by MQTT in, a receipt out, and footage that covers what the model of windows says. Started
by `run`.

    check_window.py SITE BIN
"""
import datetime
import json
import os
import subprocess
import sys
import threading
import time

from archive_site import ArchiveSite, now
from harness import check_all, expect, finish, sync, until

CAMERAS = ("line1", "line2", "dock")
# The indexer's `seam-ms`: two files so close are no gap.
SEAM_SECONDS = 0.25

site = ArchiveSite(sys.argv[1], sys.argv[2])
environment = {**os.environ, "XDG_CONFIG_HOME": str(site.folder / "clients")}
began = None


class Receipts:
    """All receipts in the order in which they come, those of one event that came twice too."""

    def __init__(self):
        self.found, self.changed = [], threading.Condition()
        self.listener = subprocess.Popen(["mosquitto_sub", "-V", "5", "-q", "1", "-t", sync("receipts/#")],
                                         env=environment, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.listener.stdout:
            with self.changed:
                self.found.append(json.loads(line))
                self.changed.notify_all()

    def of(self, key, number=1, seconds=15):
        """The receipt of this number for a key."""
        with self.changed:
            there = self.changed.wait_for(lambda: sum(one["key"] == key for one in self.found) >= number, seconds)
            expect(there, f"no receipt {number} of {key}; there are {self.found}")
            return [one for one in self.found if one["key"] == key][number - 1]


receipts = Receipts()


def iso(when):
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publish(key, cameras, when, before, after):
    """An event, as a detector sends it. Gives the window that it asks for."""
    event = {"eventId": key, "timestamp": iso(when), "cameras": list(cameras), "preSeconds": before, "postSeconds": after}
    subprocess.run(["mosquitto_pub", "-V", "5", "-q", "1", "-t", sync("events"), "-m", json.dumps(event)], env=environment, check=True,
                   timeout=15)
    whole = int(when * 1000) / 1000
    return whole - before, whole + after


def accepted(key, kind="accepted", number=1):
    """The id of the request that an event made, or became part of."""
    receipt = receipts.of(key, number)
    expect(receipt["receipt"] == kind, receipt)
    return receipt["requestId"]


def span(window):
    return window.start_us / 1e6, window.end_us / 1e6


def holes(window, spans):
    """The parts of a window that the spans leave out."""
    missing, reached = [], window[0]
    for start, end in sorted([*spans, (window[1], window[1])]):
        if start - reached > SEAM_SECONDS:
            missing.append((reached, min(start, window[1])))
        reached = max(reached, end)
    return [hole for hole in missing if hole[1] > hole[0]]


def delivered(request, window, cameras, state="DONE"):
    """That a request has this window and these cameras, ended so, and that what was delivered and what is said to be missing
    make up the window; done: all of it was delivered. Gives the gaps by camera."""
    expect(site.state(request) == state, f"{request.request_id} is {site.state(request)}: {request.reason}")
    asked = span(request.window)
    expect(all(abs(a - b) < 0.0015 for a, b in zip(asked, window)), f"the window is {asked}, not {window}")
    expect(sorted(camera.camera for camera in request.cameras) == sorted(cameras), request.cameras)
    media = site.true_files(request)
    sources = {camera.camera: (camera.source.device, camera.source.endpoint) for camera in request.cameras}
    gaps = {}
    for camera in cameras:
        spans = [span(file.window) for file in media if file.camera == camera and file.archive_path.endswith(".mp4")]
        expect(all(start < window[1] and end > window[0] for start, end in spans), f"{camera}: {spans} are not all of {window}")
        gaps[camera] = [span(gap.window) for gap in request.gaps if (gap.source.device, gap.source.endpoint) == sources[camera]]
        rest = holes(window, spans + gaps[camera])
        expect(not rest, f"{camera}: neither delivered nor said to be missing: {rest} of {window}")
        inside = [gap for gap in gaps[camera] for start, end in spans if gap[0] < end - SEAM_SECONDS and gap[1] > start + SEAM_SECONDS]
        expect(not inside, f"{camera}: delivered and said to be missing: {inside}")
    expect(state != "DONE" or not any(gaps.values()), f"done, with gaps {gaps}")
    return gaps


def wait_until(when):
    """The clock is the subject of these checks."""
    time.sleep(max(0, when - now()))


# --- Checks ---------------------------------------------------------------------------------------------------------------

def three_cameras_record():
    global began
    # So that what may be deleted is deleted within the check's time.
    settings = site.folder / "config/capture-controller.yaml"
    settings.write_text(settings.read_text() + "deletion-seconds: 1\n")
    site.control("stop", "capture-controller")
    site.control("start", "capture-controller")
    site.until_ready("capture-controller")
    for camera in CAMERAS:
        site.record(camera, duration=2)
    for camera in CAMERAS:
        site.until_recorded(camera, now() - 1)
    began = now()


def what_lies_ahead_is_awaited():
    # Nobody asks for what is before: it is what retention takes in the end.
    wait_until(began + 9)
    ahead = publish("future", ["dock"], now() + 7, 1.5, 2)
    long = publish("post-roll", ["line1"], now() - 1, 1, 14)
    for key, window in (("future", ahead), ("post-roll", long)):
        request = site.request(accepted(key))
        expect(site.state(request) in ("ACCEPTED", "WAITING", "COPYING") and now() < window[1], f"{key} is {site.state(request)} already")
    windows.update({"future": ahead, "post-roll": long})


def what_lies_too_far_ahead_is_rejected_and_why():
    publish("too-far", ["dock"], now() + 2 * 3600, 1, 1)
    receipt = receipts.of("too-far")
    expect(receipt["receipt"] == "rejected" and "future" in receipt["error"]["message"], receipt)
    expect(not any("too-far" in request.event_keys for request in listed()), "it is a request all the same")


def the_same_event_twice_is_one_request():
    before = site.cursor(), set(site.requests())
    when = now() - 2
    window = publish("twice", ["line2"], when, 1, 1)
    publish("twice", ["line2"], when, 1, 1)
    number = accepted("twice")
    expect(accepted("twice", "duplicate", 2) == number, receipts.found)
    delivered(site.ended(number), window, ["line2"])
    publish("twice", ["line2"], when, 1, 1)
    expect(accepted("twice", "duplicate", 3) == number, receipts.found)
    expect(set(site.requests()) - before[1] == {number}, f"new requests: {set(site.requests()) - before[1]}")
    expect(site.cursor() == before[0], "it changed a task")


def overlapping_windows_of_three_cameras_share_what_they_have_in_common():
    when = now()
    pairs = {"overlap-1": ["line1", "line2"], "overlap-2": ["line2", "dock"], "overlap-3": list(CAMERAS)}
    asked = {key: publish(key, cameras, when + number * 0.7, 4, 3) for number, (key, cameras) in enumerate(pairs.items())}
    # The same rule, the same cameras, and the window is open: it becomes longer.
    more = publish("overlap-4", pairs["overlap-1"], when + 2, 3, 3)
    numbers = {key: accepted(key) for key in pairs}
    expect(len(set(numbers.values())) == 3, numbers)
    expect(accepted("overlap-4", "extended") == numbers["overlap-1"], receipts.found)
    asked["overlap-1"] = (asked["overlap-1"][0], more[1])
    copies = {}
    for key, cameras in pairs.items():
        request = site.ended(numbers[key])
        delivered(request, asked[key], cameras)
        for file in request.files:
            if file.source_path:
                copies.setdefault((file.source_volume_id, file.source_path), []).append((file.item_id, file.archive_path))
    expect(all(len(set(files)) == 1 for files in copies.values()), f"copied more than once: {copies}")
    expect(any(len(files) == 3 for files in copies.values()), "no file belongs to all three")
    first = site.request(numbers["overlap-1"])
    expect(sorted(first.event_keys) == ["overlap-1", "overlap-4"], first.event_keys)


def what_was_awaited_is_delivered():
    for key, camera in (("future", "dock"), ("post-roll", "line1")):
        delivered(site.ended(accepted(key)), windows[key], [camera])


def an_event_that_is_late_by_30_s_gets_its_footage():
    wait_until(began + 43)
    window = publish("late", ["dock", "line1"], now() - 30, 2, 2)
    delivered(site.ended(accepted("late")), window, ["line1", "dock"])


def a_window_over_a_gap_and_a_restart_is_partial_and_says_what_is_missing():
    start = now()
    time.sleep(2)
    site.control("kill", "camera-line2")
    time.sleep(4)
    site.control("start", "camera-line2")
    back = now()
    until("line2 is recorded again", 30, lambda: site.recorded_to("line2") > back)
    site.control("kill", "capture-controller")
    killed = now()
    site.control("start", "capture-controller")
    site.until_ready("capture-controller")
    back = now()
    for camera in CAMERAS:
        site.until_recorded(camera, back + 2)
    window = publish("gaps", CAMERAS, start + 1, 0, now() - start - 2)
    request = site.ended(accepted("gaps"))
    gaps = delivered(request, window, CAMERAS, "PARTIAL")
    longest = max(gaps["line2"], key=lambda gap: gap[1] - gap[0])
    expect(longest[1] - longest[0] > 3, f"line2 was dark for 4 s: {gaps['line2']}")
    for camera in CAMERAS:
        expect(any(a < back and b > killed - 0.5 for a, b in gaps[camera]), f"{camera}: the restart at {killed} is not in {gaps[camera]}")
    expect(all(camera in request.reason for camera in CAMERAS), request.reason)
    manifest = {camera["camera"]: camera for camera in site.manifest(request)["cameras"]}
    expect(all(manifest[camera]["gaps"] and manifest[camera]["covered"] for camera in CAMERAS), manifest)


def a_window_that_retention_has_taken_fails_and_says_so():
    # Before the first window that somebody asked for: these the controller keeps for some minutes yet.
    oldest = sorted((site.recording / "line1/clips").rglob("*.mp4"))[0]
    settings = site.folder / "config/indexer.yaml"
    settings.write_text(settings.read_text() + "quota-bytes: 1000000\n")
    site.control("stop", "indexer")
    site.control("start", "indexer")
    site.until_ready("indexer")
    until("the oldest is deleted", 20, lambda: not oldest.exists())
    until("the catalogue knows", 20, lambda: not site.coverage("line1", began + 0.5, began + 2.5)[0])
    publish("expired", ["line1"], began + 1, 0.5, 1.5)
    request = site.ended(accepted("expired"))
    expect(site.state(request) == "FAILED" and not request.files, f"{site.state(request)}: {request.files}")
    expect({gap.cause for gap in request.gaps} == {"expired"} and "retention" in request.reason, f"{request.reason}: {request.gaps}")


def a_window_from_before_anything_was_recorded_fails_and_says_so():
    publish("ancient", ["line1", "dock"], now() - 80 * 3600, 2, 2)
    request = site.ended(accepted("ancient"))
    expect(site.state(request) == "FAILED" and not request.files and request.reason, f"{site.state(request)}: {request.reason}")


windows = {}


def listed():
    return site.call("indexer", "Indexer/ListRequests", limit=200).requests


if __name__ == "__main__":
    try:
        check_all("window", [
            three_cameras_record, what_lies_ahead_is_awaited, what_lies_too_far_ahead_is_rejected_and_why,
            the_same_event_twice_is_one_request, overlapping_windows_of_three_cameras_share_what_they_have_in_common,
            what_was_awaited_is_delivered, an_event_that_is_late_by_30_s_gets_its_footage,
            a_window_over_a_gap_and_a_restart_is_partial_and_says_what_is_missing,
            a_window_that_retention_has_taken_fails_and_says_so, a_window_from_before_anything_was_recorded_fails_and_says_so])
    finally:
        receipts.listener.kill()
    sys.exit(finish())
