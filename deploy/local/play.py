"""Plays the four scenarios of the decision record on a running site (deploy/local/site) and shows what came of them.

    python3 deploy/local/play.py SITE BIN        exit status 0 only if all of it holds

Everything is done as an operator would: by mosquitto_pub and mosquitto_sub. What is checked is checked with tools that are
not ours: ffprobe and ffmpeg, SHA-256 of the files, and the blobs as the Blob server gives them back.
"""
import base64
import datetime
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

SITE, BIN = Path(sys.argv[1]), Path(sys.argv[2])
NAMESPACE = "azure-iot-operations"
ENVIRONMENT = {**os.environ, "XDG_CONFIG_HOME": str(SITE / "clients")}
PORTS = dict(line.split("=") for line in (SITE / "site.env").read_text().split())
STARTED = time.monotonic()


class Failed(Exception):
    """Something that the demo promises did not happen."""


def say(text):
    print(f"  {time.monotonic() - STARTED:5.1f} s  {text}", flush=True)


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publish(topic, message):
    subprocess.run(["mosquitto_pub", "-q", "1", "-t", f"{NAMESPACE}/{topic}", "-s"], input=json.dumps(message).encode(),
                   env=ENVIRONMENT, check=True, timeout=10)


class Watcher:
    """What the status topics say: the newest JSON of each. This is the operators' plain view."""

    def __init__(self):
        self.newest, self.changed = {}, threading.Condition()
        self.process = subprocess.Popen(
            ["mosquitto_sub", "-q", "1", "-F", "%t\t%p"] + [x for t in (
                "media-sync/#", "asset-status/#", "source-status/#", "asset-operations/+/+/+/response") for x in ("-t", f"{NAMESPACE}/{t}")],
            stdout=subprocess.PIPE, env=ENVIRONMENT, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            topic, _, payload = line.rstrip("\n").partition("\t")
            try:
                value = json.loads(payload)
            except ValueError:
                continue
            with self.changed:
                self.newest[topic.removeprefix(NAMESPACE + "/")] = value
                self.changed.notify_all()

    def wait(self, what, seconds, found):
        """The first value that `found` gives for the newest messages."""
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                value = found(self.newest)
                if value is not None:
                    return value
                if not self.changed.wait(end - time.monotonic()) and time.monotonic() >= end:
                    raise Failed(f"waited {seconds} s in vain: {what}; last seen: {json.dumps(self.newest)[-1500:]}")

    def close(self):
        self.process.terminate()
        self.process.wait(5)


def until(what, seconds, probe):
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s in vain: {what}")
        time.sleep(0.1)


def ffprobe(*arguments):
    out = subprocess.run(["ffprobe", "-v", "error", "-of", "json", *arguments], capture_output=True, text=True, timeout=40)
    return json.loads(out.stdout or "{}"), out.stderr.strip()


def film(path):
    """(codec, seconds, frames, what ffmpeg complained about while decoding all of it)"""
    facts, errors = ffprobe("-select_streams", "v:0", "-count_packets", "-show_entries",
                            "stream=codec_name,nb_read_packets,duration", str(path))
    decoded = subprocess.run(["ffmpeg", "-v", "warning", "-i", str(path), "-f", "null", "-"], capture_output=True, text=True, timeout=60)
    stream = facts["streams"][0]
    # ffmpeg says it of every mono PCM track; it is no fault of the file.
    complaints = [line for line in (errors + decoded.stderr).splitlines() if "Guessed Channel Layout" not in line]
    return stream["codec_name"], float(stream["duration"]), int(stream["nb_read_packets"]), " ".join(complaints)


def blob(name):
    """A blob's content, by a GET that is signed with the account's key."""
    key = base64.b64decode((SITE / "secrets/blob-key").read_text())
    path = "/demo/footage/" + urllib.parse.quote(name)
    headers = {"x-ms-date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()), "x-ms-version": "2021-12-02"}
    text = "GET" + "\n" * 12 + "".join(f"{k}:{v}\n" for k, v in headers.items()) + "/demo" + path
    signature = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
    headers["Authorization"] = f"SharedKey demo:{signature}"
    request = urllib.request.Request(f"http://127.0.0.1:{PORTS['BLOB_PORT']}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# --- The scenarios ----------------------------------------------------------------------------------------------------


def start_task(watcher, asset, stream, settings):
    publish(f"asset-operations/{asset}/{stream}/start", settings)
    answer = watcher.wait(f"{asset}/{stream} is accepted", 10, lambda n: n.get(f"asset-operations/{asset}/{stream}/start/response"))
    if not answer.get("accepted"):
        raise Failed(f"{asset}/{stream} was not accepted: {answer}")
    watcher.wait(f"{asset}/{stream} runs", 20, lambda n: (n.get(f"asset-status/{asset}/{stream}") or {}).get("state") == "running" or None)


def live_stream(watcher):
    begun = time.monotonic()
    start_task(watcher, "line1", "live", {"timeLimitSeconds": 300})
    login = (SITE / "secrets/relay.login").read_text().strip()
    # The URL stands in a list file of this user's, because an argument could be read by everyone on the machine.
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "live.ffconcat")
        listed.write_text(f"ffconcat version 1.0\nfile 'rtsp://{login}@127.0.0.1:{PORTS['RELAY_PORT']}/line1/live'\n")
        listed.chmod(0o600)

        def watch():
            facts, _ = ffprobe("-f", "concat", "-safe", "0", "-protocol_whitelist", "file,rtsp,rtp,tcp,udp", "-read_intervals", "%+2",
                               "-select_streams", "v:0", "-count_packets", "-show_entries", "stream=codec_name,width,height,nb_read_packets", str(listed))
            streams = facts.get("streams") or []
            return streams[0] if streams and int(streams[0].get("nb_read_packets", 0)) >= 25 else None

        seen = until("ffprobe plays line1/live from the media server", 25, watch)
    say(f"scenario 1    ffprobe plays line1/live from the media server: {seen['codec_name']} {seen['width']}x{seen['height']}, "
        f"{seen['nb_read_packets']} packets")
    return ["1    live stream by MQTT", f"{seen['codec_name']} {seen['width']}x{seen['height']} at the media server", f"{time.monotonic() - begun:.1f} s"]


def recording(watcher):
    begun = time.monotonic()
    pictures = subprocess.Popen(["mosquitto_sub", "-q", "1", "-C", "1", "-W", "30", "-N", "-t", f"{NAMESPACE}/data/line1/pictures"],
                                stdout=subprocess.PIPE, env=ENVIRONMENT)
    for asset, stream, settings in (("line1", "clips", {"duration": 4}), ("line2", "clips", {}), ("line1", "stills", {}), ("line1", "pictures", {})):
        start_task(watcher, asset, stream, settings)
    say("scenario 2.1  clips of line1 and line2, stills and pictures of line1 run")
    picture = pictures.communicate(timeout=40)[0]
    if picture[:2] != b"\xff\xd8":
        raise Failed(f"the message on data/line1/pictures is no JPEG: {picture[:16]!r}")

    def sealed():
        clips = [p for p in (SITE / "recording").rglob("*.mp4") if ".staging" not in p.parts]
        stills = [p for p in (SITE / "recording").rglob("*.jp*g") if ".staging" not in p.parts]
        line1 = [p for p in clips if p.relative_to(SITE / "recording").parts[0] == "line1"]
        return (clips, stills) if len(line1) >= 2 and len(clips) - len(line1) >= 1 and len(stills) >= 2 else None

    clips, stills = until("sealed clips of both cameras, and stills", 30, sealed)
    say(f"scenario 2.1  {len(clips)} sealed clips, {len(stills)} stills on the recording volume; a JPEG of {len(picture)} bytes by MQTT")
    return ["2.1  clips and snapshots", f"{len(clips)} clips, {len(stills)} stills, pictures by MQTT", f"{time.monotonic() - begun:.1f} s"]


def finished(watcher, request_id, seconds):
    def found(newest):
        status = newest.get(f"media-sync/requests/{request_id}") or {}
        return status if status.get("state") in ("done", "partial", "failed", "cancelled") else None
    return watcher.wait(f"request {request_id} ends", seconds, found)


def receipt(watcher, key):
    value = watcher.wait(f"receipt {key}", 15, lambda n: n.get(f"media-sync/receipts/{key}"))
    if not value.get("requestId"):
        raise Failed(f"{key} was not accepted: {value}")
    return value["requestId"]


def anomaly(watcher):
    begun = time.monotonic()
    event = {"eventId": f"demo-{int(time.time())}", "timestamp": rfc3339(time.time()), "cameras": ["line1", "line2", "dock"],
             "preSeconds": 5, "postSeconds": 3, "reason": "pressure outside its band"}
    publish("media-sync/events", event)
    request = receipt(watcher, event["eventId"])
    accepted = time.monotonic() - begun
    publish("media-sync/events", event)
    say(f"scenario 2.2  anomaly accepted as request {request} after {accepted * 1000:.0f} ms; the same event is sent once more")
    status = finished(watcher, request, 45)
    say(f"scenario 2.2  {status['state']}: {len(status.get('files', []))} files")
    return status, ["2.2  anomaly event", f"{status['state']}, {len(status.get('files', []))} files", f"{time.monotonic() - begun:.1f} s"]


def by_hand(watcher):
    begun = time.monotonic()
    request_id = f"demo-request-{int(time.time())}"
    publish("media-sync/archive", {"requestId": request_id, "cameras": ["line1"], "start": rfc3339(time.time() - 12), "durationSeconds": 8,
                                   "reason": "shift leader wants to see the seal"})
    request = receipt(watcher, request_id)
    status = finished(watcher, request, 45)
    say(f"scenario 2.3  {status['state']}: {len(status.get('files', []))} files")
    return status, ["2.3  start and duration", f"{status['state']}, {len(status.get('files', []))} files", f"{time.monotonic() - begun:.1f} s"]


# --- What came of it --------------------------------------------------------------------------------------------------


def table(rows, heads):
    widths = [max(len(str(row[i])) for row in [heads, *rows]) for i in range(len(heads))]
    for index, row in enumerate([heads, *rows]):
        print("  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())
        if index == 0:
            print("  " + "  ".join("-" * width for width in widths))
    print()


def check_files(statuses):
    rows, wrong, seen = [], [], set()
    for status in statuses:
        manifest = json.loads((SITE / "archive" / status["manifestPath"]).read_text())
        if sha256(blob(status["manifestPath"])) != sha256((SITE / "archive" / status["manifestPath"]).read_bytes()):
            wrong.append(f"the manifest of {status['requestId']} in the Blob store is not the archived one")
        listed = {f["path"]: f for f in manifest["files"]}
        for delivered in status["files"]:
            path = delivered["archivePath"]
            if path == status["manifestPath"] or path in seen:
                continue
            seen.add(path)
            archived = SITE / "archive" / path
            source = SITE / "recording" / listed[path]["source_path"]
            sums = {sha256(source.read_bytes()), sha256(archived.read_bytes()), sha256(blob(path)), delivered["sha256"], listed[path]["sha256"]}
            blob(str(Path(path).with_suffix(".json")))
            length = frames = "-"
            if path.endswith(".mp4"):
                _, seconds, count, complaints = film(archived)
                length, frames = f"{seconds:.2f} s", count
                declared = seconds_of(listed[path]["end"]) - seconds_of(listed[path]["start"])
                if complaints or count == 0 or abs(seconds - declared) > 0.1:
                    wrong.append(f"{path}: {count} frames, {seconds:.2f} s of {declared:.2f} s declared; ffmpeg says: {complaints[:200] or 'nothing'}")
            if len(sums) != 1:
                wrong.append(f"{path}: SHA-256 of source, archive, blob and manifest differ")
            rows.append([delivered["camera"], path.rsplit("/", 1)[1], length, frames, archived.stat().st_size, sorted(sums)[0][:12],
                         "equal" if len(sums) == 1 else "DIFFER"])
    return rows, wrong


def covered(status):
    """What of the window the delivered films do not hold, per camera, in seconds."""
    manifest = json.loads((SITE / "archive" / status["manifestPath"]).read_text())
    start, end = (seconds_of(manifest["window"][x]) for x in ("start", "end"))
    missing = []
    for camera in {c["camera"] for c in manifest["cameras"]}:
        at = start
        films = [f for f in manifest["files"] if f["camera"] == camera and f["path"].endswith(".mp4")]
        for f in sorted(films, key=lambda f: f["start"]):
            if seconds_of(f["start"]) > at + 0.1:
                missing.append(f"{camera}: {seconds_of(f['start']) - at:.2f} s before {f['path']}")
            at = max(at, seconds_of(f["end"]))
        if at < end - 0.1:
            missing.append(f"{camera}: the last {end - at:.2f} s")
    return missing


def main():
    watcher = Watcher()
    try:
        rows = [live_stream(watcher), recording(watcher)]
        event, row = anomaly(watcher)
        rows.append(row)
        request, row = by_hand(watcher)
        rows.append(row)
        receipts = [t for t in watcher.newest if t.startswith("media-sync/requests/")]
    finally:
        watcher.close()
    wrong = [f"request {s['requestId']} ended {s['state']}: {s.get('reason')}" for s in (event, request) if s["state"] != "done"]
    if len(receipts) != 2:
        wrong.append(f"two requests were expected, there are {len(receipts)}: the repeated event was not recognised")
    wrong += [f"request {s['requestId']} names no manifest" for s in (event, request) if not s.get("manifestPath")]
    listed = [s for s in (event, request) if s.get("manifestPath")]
    files, more = check_files(listed)
    wrong += more + [f"not delivered: {m}" for s in listed for m in covered(s)]
    print()
    table(rows, ["scenario", "result", "took"])
    table(files, ["camera", "file in archive and Blob container 'footage'", "length", "frames", "bytes", "SHA-256", "source, archive, blob"])
    print(f"  archive  {SITE / 'archive'}\n  blobs    http://127.0.0.1:{PORTS['BLOB_PORT']}/demo/footage/...\n")
    for text in wrong:
        print(f"  WRONG: {text}")
    print("  all of it holds" if not wrong else f"  {len(wrong)} things do not hold")
    return 1 if wrong else 0


try:
    sys.exit(main())
except Failed as error:
    print(f"  FAILED: {error}")
    sys.exit(1)
