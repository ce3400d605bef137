"""The operators' scripts of deploy/scripts as an operator runs them: the answer on standard output, the exit status, and what
registry and indexer say afterwards. Started by `run`.

    check_scripts.py SITE BIN
"""
import json
import subprocess
import sys
import time

from broker import Broker
from harness import TOP, Site, check_all, expect, finish, sync, until

site, broker = Site(sys.argv[1], sys.argv[2]), Broker(sys.argv[1])


def script(name, *arguments, user="operator", status=0, seconds=60):
    """Runs a script and gives what it printed."""
    ran = subprocess.run([TOP / "deploy/scripts" / name, *arguments], capture_output=True, text=True, timeout=seconds,
                         env={**broker.environment(user), "SIGHTGLASS_PATIENCE_S": "8"})
    expect(ran.returncode == status, f"{name} {' '.join(arguments)}: exit status {ran.returncode}: {ran.stdout}{ran.stderr}")
    return ran.stdout + ran.stderr


def scenario_1_a_live_stream_with_a_time_limit():
    answer = script("start", "line1", "live", "--for", "20", '{"mediaServerPath": "by/script"}')
    expect('"accepted":true' in answer and '"endsAt"' in answer, answer)
    desired = site.desired("line1", "live")
    expect(desired.running and "by/script" in desired.override_json, desired)
    until("it is pushed", 20, lambda: '"state":"running"' in script("state", "line1", "live"))
    expect('"desired":"stopped"' in script("stop", "line1", "live"), "it was not stopped")


def scenario_2_1_clips_are_saved():
    script("start", "line1", "clips", '{"duration": 2}')
    recording = site.folder / "recording/line1/clips"
    until("a clip is there", 20, lambda: list(recording.rglob("*.mp4")))
    picture = script("capture", "line1", "clips", "--format", "png")
    expect('"path":"line1/clips/' in picture and '.png"' in picture, picture)


def scenario_2_2_an_anomaly_brings_its_footage():
    receipt = script("anomaly", "line1", "--before", "2", "--after", "1", "--why", 'crate "7" fell')
    expect('"receipt":"accepted"' in receipt, receipt)
    key = receipt.split('"key":"')[1].split('"')[0]
    again = script("anomaly", "line1", "--before", "2", "--after", "1", "--id", key)
    expect('"requestId"' in again, again)
    number = receipt.split('"requestId":"')[1].split('"')[0]
    until("it is done", 40, lambda: '"state":"done"' in script("requests", number))


def scenario_2_3_footage_of_a_time():
    until("some footage is there", 20, lambda: time.sleep(1) or True)
    done = script("footage", "-4", "2", "line1", "--why", "shift report")
    expect('"state":"done"' in done and '"blobUrl"' in done, done)
    clip = script("capture", "line1", "clips", "--clip", "2", "1")
    expect('"state":"done"' in clip, clip)
    expect('"requests":[' in script("requests", "--all"), "no list")


def a_clip_holds_exactly_its_window():
    """Three seconds of a camera as one film, however its segments are cut."""
    script("start", "line1", "clips", '{"duration": 1}')
    until("some seconds are recorded", 30, lambda: len(list((site.folder / "recording/line1/clips").rglob("*.mp4"))) >= 8)
    start = int((time.time() - 5) * 1000) + 333
    number = f"clip-{start}"
    ask = {"requestId": number, "cameras": ["line1"], "start": start, "durationSeconds": 3, "mode": "clip", "kinds": ["segment"]}
    subprocess.run(["mosquitto_pub", "-q", "1", "-t", sync("archive"), "-m", json.dumps(ask)], check=True, env=broker.environment("operator"))
    done = until("the clip is done", 40, lambda: found if '"state":"done"' in (found := ended(number)) else None)
    files = json.loads(done)["files"]
    expect([f["kind"] for f in files] == ["clip"], files)
    path = site.folder / "archive" / files[0]["archivePath"]
    played = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-count_frames", "-show_entries",
                             "stream=nb_read_frames,duration", "-of", "csv=p=0", path], capture_output=True, text=True, timeout=60)
    duration, frames = played.stdout.strip().split(",")[:2]
    # 25 pictures a second; those that begin within it.
    expect(not played.stderr and int(frames) in (74, 75, 76) and abs(float(duration) - 3) < 0.1, f"{played.stdout} {played.stderr}")
    expect(path.with_suffix(".json").exists(), "it has no sidecar")


def ended(number):
    ran = subprocess.run([TOP / "deploy/scripts/requests", number], capture_output=True, text=True, timeout=30,
                         env={**broker.environment("operator"), "SIGHTGLASS_PATIENCE_S": "8"})
    return ran.stdout


def a_request_that_is_not_wanted_any_more_is_cancelled():
    ahead = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    asked = script("footage", ahead, "5", "line1", "--id", f"later-{time.time_ns()}", "--no-wait")
    number = asked.split('"requestId":"')[1].split('"')[0]
    expect(number in script("requests"), "it is not among the open ones")
    expect('"state":"cancelled"' in script("requests", "--cancel", number), "it was not cancelled")
    until("its state says so", 10, lambda: '"state":"cancelled"' in script("requests", number))


def what_is_wrong_is_said_and_has_an_exit_status():
    expect("not_found" in script("start", "line1", "nostream", status=1), "no reason")
    expect("not_found" in script("state", "nobody", "clips", status=1), "no reason")
    expect("rejected" in script("footage", "-5", "2", "nobody", status=1), "no reason")
    expect("no request" in script("requests", "none", status=1), "no reason")
    for name, arguments in [("start", []), ("stop", ["line1"]), ("footage", ["-5", "2"]), ("anomaly", []), ("capture", ["a", "b", "--x"])]:
        script(name, *arguments, status=64)


def who_may_not_is_told_so():
    before = site.effects()
    said = script("start", "line1", "clips", user="guest", status=1)
    expect("may this user ask" in said, said)
    expect(site.effects() == before, "it had an effect")


def everything_is_shown_to_who_watches():
    ran = subprocess.run(["timeout", "3", TOP / "deploy/scripts/watch"], capture_output=True, text=True, timeout=30,
                         env=broker.environment("guest"))
    for part in ("sightglass/adapter", "asset-status/line1/clips", "source-status/line1-camera/main", "volume-status/", "media-sync/requests/"):
        expect(part in ran.stdout, f"{part} is missing: {ran.stdout[:500]}{ran.stderr}")
    script("stop", "line1", "clips")


if __name__ == "__main__":
    check_all("scripts", [
        scenario_1_a_live_stream_with_a_time_limit, scenario_2_1_clips_are_saved, scenario_2_2_an_anomaly_brings_its_footage,
        scenario_2_3_footage_of_a_time, a_clip_holds_exactly_its_window, a_request_that_is_not_wanted_any_more_is_cancelled,
        what_is_wrong_is_said_and_has_an_exit_status, who_may_not_is_told_so,
        everything_is_shown_to_who_watches])
    sys.exit(finish())
