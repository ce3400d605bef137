"""What an operator does with footage on the command line, on a whole site; and a catalogue that is older than the footage, and one
that is lost. Each check runs its command by itself: one that is missing fails alone. Started by `run`.

    check_operators.py SITE BIN
"""
import json
import os
import shutil
import subprocess
import sys
import time

from archive_site import FRAME_RATE, ArchiveSite, now, us
from harness import check_all, expect, finish, until

CAMERAS = ("line1", "line2")
# Within so many seconds controllers have told a new catalogue all that they have.
REBUILT_SECONDS = 60

site = ArchiveSite(sys.argv[1], sys.argv[2])
# Where the footage begins, and a time of line1 without any gap.
began = whole = None


def sightglass(*arguments, status=0, seconds=60):
    """Runs a command as an operator would and gives what it printed."""
    ran = subprocess.run([site.bin / "sightglass", *arguments], capture_output=True, text=True, timeout=seconds,
                         env={**os.environ, "SIGHTGLASS_RUN_DIRECTORY": str(site.folder / "run"), "COLUMNS": "100"})
    expect(ran.returncode == status, f"sightglass {' '.join(map(str, arguments))}: exit status {ran.returncode}: {ran.stdout}{ran.stderr}")
    return ran.stdout


def answer(*arguments, **how):
    return json.loads(sightglass(*arguments, "--json", **how))


def times(start, end):
    return "--start", iso(start), "--end", iso(end)


def iso(when):
    """Whole milliseconds, as the command line takes them."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + f".{int(when * 1000) % 1000:03d}Z"


def frames(path):
    """How many pictures a film decodes to."""
    played = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-count_frames", "-show_entries", "stream=nb_read_frames",
                             "-of", "csv=p=0", path], capture_output=True, text=True, timeout=60)
    expect(played.returncode == 0 and not played.stderr, f"{path}: {played.stderr}")
    return int(played.stdout.strip().strip(","))


def frames_of(camera, start, end):
    """How many pictures of a camera begin in a window, by the times of its segments."""
    step = 1_000_000 / FRAME_RATE[camera]
    segments = [file for file in media(camera, start, end) if file.kind == 1]
    shown = [file.start_us + round(number * step) for file in segments for number in range(file.frames)]
    inside = [at for at in shown if us(start) <= at < us(end)]
    expect(inside, f"no footage of {camera} from {start} to {end}")
    return len(inside)


def media(camera, start, end):
    """What QueryMedia says of a window."""
    return list(site.call("indexer", "Indexer/QueryMedia", asset=camera, window=site.window(start, end), limit=2000).files)


def holds_its_window(path, camera="line1"):
    found, there = frames(path), frames_of(camera, *whole)
    expect(found == there, f"{path}: {found} frames, the window has {there}")


def findings(*arguments, status=0):
    """What verify or fsck found: (kind, file). Two documents may say the same of a file."""
    return {(one["what"], one["file"]) for one in answer(*arguments, status=status)["findings"]}


def on(volume, path, what):
    """The one finding that there should be."""
    return {(what, str(path.relative_to(volume)))}


# --- Recording ------------------------------------------------------------------------------------------------------------

def two_cameras_record_and_one_goes_dark_meanwhile():
    global began, whole
    for camera in CAMERAS:
        site.record(camera, duration=2)
    site.record("line1", "stills", snapshotsPerSecond=1)
    for camera in CAMERAS:
        site.until_recorded(camera, now() - 1)
    began = now()
    time.sleep(3)
    site.control("kill", "camera-line2")
    time.sleep(4)
    site.control("start", "camera-line2")
    back = now()
    until("line2 is recorded again", 30, lambda: site.recorded_to("line2") > back)
    site.until_recorded("line1", began + 15)
    # What ends here is sealed, and begins neither at a segment nor at a frame.
    whole = (int(began * 1000) / 1000 + 2.107, int(began * 1000) / 1000 + 10.213)


# --- Footage --------------------------------------------------------------------------------------------------------------

def cameras_lists_them():
    listed = {camera["camera"]: camera for camera in answer("cameras")}
    expect(set(CAMERAS) <= set(listed) and all(listed[camera]["segments"] > 0 for camera in CAMERAS), listed)
    expect(all(camera in sightglass("cameras") for camera in CAMERAS), "not in the table")


def cameras_counts_days():
    there = {camera: sum(file.kind == 1 for file in media(camera, began, now())) for camera in CAMERAS}
    counted = {camera: sum(day["segments"] for day in answer("cameras", "--days") if day["camera"] == camera) for camera in CAMERAS}
    # Recording goes on meanwhile, and began before.
    expect(all(0 <= counted[camera] - there[camera] <= 3 and there[camera] > 0 for camera in CAMERAS), f"{counted}, there are {there}")


def footage_shows_what_there_is():
    shown = sightglass("footage", "line1", *times(*whole))
    expect("line1" in shown and "segments" in shown and "100" in shown and "missing" not in shown, shown)
    said = answer("footage", "line1", *times(*whole))
    expect([(span["start_us"], span["end_us"]) for span in said["covered"]] == [(us(whole[0]), us(whole[1]))] and not said["gaps"], said)


def footage_shows_what_is_missing_and_why():
    shown = sightglass("footage", *CAMERAS, *times(*whole), status=1)
    expect("line2" in shown and "missing" in shown and "dark" in shown, shown)
    said = {one["camera"]: one for one in answer("footage", *CAMERAS, *times(*whole), status=1)}
    _, gaps = site.coverage("line2", *whole)
    expect(not said["line1"]["gaps"] and gaps, said)
    found = [(gap["window"]["start_us"], gap["window"]["end_us"]) for gap in said["line2"]["gaps"]]
    expect(found[0][0] == us(gaps[0][0]) and found[-1][1] == us(gaps[-1][1]), f"{found}, the catalogue has {gaps}")


# --- Requests -------------------------------------------------------------------------------------------------------------

def archive_makes_a_clip_of_exactly_the_window():
    done = answer("archive", "line1", *times(*whole), "--mode", "clip", "--delivery", "archive", "--reason", "case 4711",
                  "--request-id", "operators-clip", "--wait")
    files = [file for file in done["files"] if file["kind"] == "clip"]
    expect(done["state"] == "done" and len(files) == 1, done)
    holds_its_window(site.archive / files[0]["archive_path"])


def archive_brings_the_recorded_files():
    done = answer("archive", *CAMERAS, *times(*whole), "--request-id", "operators-files", "--wait", status=1)
    expect(done["state"] == "partial" and "line2" in done["reason"], done)
    kinds = {file["kind"] for file in done["files"]}
    expect({"segment", "snapshot", "manifest"} <= kinds and all(file["state"] == "uploaded" for file in done["files"]), done["files"])


def requests_shows_them():
    listed = {request["request_id"]: request["state"] for request in answer("requests")}
    expect((listed.get("operators-clip"), listed.get("operators-files")) == ("done", "partial"), listed)
    expect("case 4711" in sightglass("request", "operators-clip"), "not why")
    expect(answer("request", "operators-files", status=1)["state"] == "partial", "operators-files")


def export_writes_exactly_the_window():
    # By the controller, and from the volume itself.
    ways = {"by-call": (), "by-mount": ("--volume", site.recording)}
    for name, way in ways.items():
        film = site.folder / f"{name}.mp4"
        sightglass("export", "line1", *times(*whole), "--output", film, *way)
        holds_its_window(film)
    before = film.stat().st_ino, film.stat().st_mtime_ns
    # What is there is not replaced.
    sightglass("export", "line1", *times(*whole), "--output", film, status=1)
    expect((film.stat().st_ino, film.stat().st_mtime_ns) == before, "it was written again")


def export_says_what_is_missing():
    film = site.folder / "dark.mp4"
    shown = sightglass("export", "line2", *times(*whole), "--output", film, status=1)
    expect("dark" in shown, shown)
    holds_its_window(film, "line2")


def audit_shows_request_and_delivery():
    entries = answer("audit", "--limit", "1000")
    for request, who in (("operators-clip", "cli:"), ("operators-files", "cli:")):
        actions = [entry["action"] for entry in entries if entry["subject"] == request and entry["who"].startswith(who)]
        expect(actions[:2] == ["requested", "delivered"], f"{request}: {actions}")
    # It outlives the request, so it says what was asked for and what was delivered.
    said = {entry["action"]: entry["detail"] for entry in entries if entry["subject"] == "operators-clip"}
    expect(all(part in said["requested"] for part in ("line1", "clip", "case 4711")) and "1 file" in said["delivered"], said)
    shown = sightglass("audit", "--limit", "1000")
    expect("case 4711" in shown and "operators-clip" in shown, shown)


# --- Whether all is as it was ---------------------------------------------------------------------------------------------

def verify_finds_nothing_wrong():
    said = answer("verify", site.archive)
    expect(said["ok"] and said["manifests"] >= 1 and said["files"] >= 1 and not said["findings"], said)
    expect("all is right" in sightglass("verify", site.archive / site.request("operators-clip").manifest_path), "one manifest")


def fsck_finds_nothing_wrong():
    for volume in (site.recording, site.archive):
        said = answer("fsck", volume, "--level", "hashes")
        expect(said["ok"] and said["files"] > 0 and not said["findings"], said)


def fsck_finds_nothing_wrong_with_the_catalogue():
    said = answer("fsck", "--catalogue", "full")
    expect(said["ok"] and said["catalogue_rows"] > 0 and not said["findings"], said)


class Damage:
    """A file that is damaged for as long as a check looks at it."""

    def __init__(self, path, spoil):
        self.path, self.spoil, self.kept = path, spoil, site.folder / f"kept-{path.name}"

    def __enter__(self):
        shutil.copy2(self.path, self.kept)
        self.spoil(self.path)

    def __exit__(self, *error):
        # In the same folder and atomically: nobody sees half a file.
        beside = self.path.with_name(f".{self.path.name}")
        shutil.copy2(self.kept, beside)
        os.replace(beside, self.path)


def flipped(path):
    """One bit of the middle changes, and nothing that the file system tells of it."""
    was = path.stat()
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(was.st_size // 2)
        byte = file.read(1)[0]
        file.seek(was.st_size // 2)
        file.write(bytes([byte ^ 1]))
    os.chmod(path, was.st_mode & 0o777)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def archived_film():
    return next(path for path in site.archived_media() if path.suffix == ".mp4")


def verify_names_the_file_with_a_flipped_bit():
    path = archived_film()
    with Damage(path, flipped):
        found = findings("verify", site.archive, status=1)
        expect(found == on(site.archive, path, "hash"), found)
        # Its size is right.
        expect(not findings("verify", site.archive, "--sizes-only"), "sizes only")
    expect(not findings("verify", site.archive), "it is whole again")


def fsck_names_the_file_with_a_flipped_bit():
    path = archived_film()
    with Damage(path, flipped):
        found = findings("fsck", site.archive, "--level", "hashes", status=1)
        expect(found == on(site.archive, path, "hash"), found)
        expect(not findings("fsck", site.archive, "--level", "sizes"), "sizes")
    expect(not findings("fsck", site.archive, "--level", "hashes"), "it is whole again")


def fsck_names_the_recorded_file_that_is_gone():
    path = sorted((site.recording / "line1/clips").rglob("*.mp4"))[2]
    with Damage(path, os.remove):
        for level in ("names", "hashes"):
            found = findings("fsck", site.recording, "--level", level, status=1)
            expect(found == on(site.recording, path, "no file"), found)
    expect(not findings("fsck", site.recording, "--level", "names"), "it is there again")


# --- The catalogue --------------------------------------------------------------------------------------------------------

class Answers:
    """What the catalogue says of all that was recorded up to a moment."""

    def __init__(self, end):
        self.end = end
        window = site.window(began, end)
        self.coverage = {camera: site.call("indexer", "Indexer/Coverage", asset=camera, window=window) for camera in CAMERAS}
        self.media = {camera: [(file.path, file.kind, file.start_us, file.end_us, file.size_bytes, file.frames)
                               for file in media(camera, began, end)] for camera in CAMERAS}
        self.cameras = sorted(str(camera) for camera in site.call("indexer", "Indexer/ListCameras").cameras)

    def differences(self):
        """Where the catalogue says something else now; empty: nowhere."""
        try:
            present = Answers(self.end)
        except Exception as error:
            return f"it does not answer: {error}"
        said = []
        for camera in CAMERAS:
            if present.coverage[camera] != self.coverage[camera]:
                said.append(f"coverage of {camera}: {present.coverage[camera]} instead of {self.coverage[camera]}")
            if present.media[camera] != self.media[camera]:
                said.append(f"media of {camera}: {sorted(set(present.media[camera]) ^ set(self.media[camera]))}")
        if present.cameras != self.cameras:
            said.append(f"cameras: {present.cameras} instead of {self.cameras}")
        return "; ".join(said).replace("\n", " ")

    def until_same(self):
        end = time.monotonic() + REBUILT_SECONDS
        while difference := self.differences():
            expect(time.monotonic() < end, f"after {REBUILT_SECONDS} s: {difference}")
            time.sleep(0.5)


def without_catalogue(then):
    """Has the catalogue replaced while the indexer is stopped."""
    site.control("stop", "indexer")
    state = site.folder / "state/indexer"
    for name in ("catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"):
        (state / name).unlink(missing_ok=True)
    then(state / "catalogue.sqlite")
    site.control("start", "indexer")
    site.until_ready("indexer")


backup = site.folder / "backup.sqlite"
before = None


def backup_copies_the_catalogue():
    said = answer("backup", "--output", backup)
    expect(backup.stat().st_size == said["size_bytes"], said)
    sightglass("backup", "--output", backup, status=1)
    expect([path.name for path in site.folder.glob("*backup.sqlite*")] == [backup.name], "it left something beside it")


def recording_goes_on_and_ends():
    """What comes after the backup; then nothing changes any more, so that answers can be compared."""
    global before
    after = now() + 5
    for camera in CAMERAS:
        site.until_recorded(camera, after)
    for camera in CAMERAS:
        site.set_desired(camera, "clips", False)
    site.set_desired("line1", "stills", False)
    until("all is sealed", 20, lambda: not any((site.recording / ".staging").iterdir()))

    def all_is_catalogued():
        known = {file.path for camera in CAMERAS for file in media(camera, began - 3600, now())}
        return all(str(path.relative_to(site.recording)) in known for path in site.files(site.recording) if path.suffix != ".json")
    # A controller tells of a file after it has sealed it.
    until("the catalogue knows every file of the volume", 20, all_is_catalogued)
    before = Answers(after)


def a_catalogue_that_is_older_than_the_footage_learns_what_came_after():
    expect(backup.exists(), "there is no backup")
    kept = site.request("operators-clip")
    without_catalogue(lambda catalogue: shutil.copy(backup, catalogue))
    expect(site.request("operators-clip") == kept, "the request is not what it was")
    before.until_same()


def a_catalogue_that_is_damaged_is_not_used():
    site.control("stop", "indexer")
    log = site.folder / "logs/indexer.log"
    length = log.stat().st_size
    catalogue = site.folder / "state/indexer/catalogue.sqlite"
    with open(catalogue, "r+b") as file:
        file.write(os.urandom(8192))
    site.control("start", "indexer")
    until("the indexer says so, and what to do", 20, lambda: "restore it from a backup" in log.read_text()[length:])
    expect(not site.is_ready("indexer"), "it is ready all the same")


def a_catalogue_that_is_lost_is_made_again_from_the_volumes():
    without_catalogue(lambda catalogue: None)
    before.until_same()


if __name__ == "__main__":
    check_all("operators", [
        two_cameras_record_and_one_goes_dark_meanwhile, cameras_lists_them, cameras_counts_days,
        footage_shows_what_there_is, footage_shows_what_is_missing_and_why, archive_makes_a_clip_of_exactly_the_window,
        archive_brings_the_recorded_files, requests_shows_them, export_writes_exactly_the_window, export_says_what_is_missing,
        audit_shows_request_and_delivery, verify_finds_nothing_wrong, fsck_finds_nothing_wrong,
        fsck_finds_nothing_wrong_with_the_catalogue, verify_names_the_file_with_a_flipped_bit, fsck_names_the_file_with_a_flipped_bit,
        fsck_names_the_recorded_file_that_is_gone, backup_copies_the_catalogue, recording_goes_on_and_ends,
        a_catalogue_that_is_older_than_the_footage_learns_what_came_after, a_catalogue_that_is_damaged_is_not_used,
        a_catalogue_that_is_lost_is_made_again_from_the_volumes])
    sys.exit(finish())
