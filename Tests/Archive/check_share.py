"""Three archivers on one catalogue and one archive volume: they share the work, and what one of them leaves in the middle of a
copy is done by the others within the lease time, once and right, whatever the late one does afterwards. Started by `run`.

    check_share.py SITE BIN
"""
import json
import os
import re
import signal
import subprocess
import sys
import time

from archive_site import ArchiveSite, now
from harness import CallError, check_all, expect, finish, until

CAMERAS = ("line1", "line2", "dock")
NAMES = ("archiver-1", "archiver-2", "archiver-3")
VICTIM = "archiver-2"
LEASE_SECONDS = 2
# For claiming and copying, after the lease.
TAKEOVER_SECONDS = LEASE_SECONDS + 2
ITEMS = 150
SHARES = (0.25, 0.42)
ARCHIVED = re.compile(r" (archiver-\d): archived \[.*path=(\S+)\]")
# As the archivers call what they write: owner, epoch of the claim, what and of which item.
STAGED = re.compile(r"(archiver-\d)\.(\d+)\.media-(\d+)")
# A picture a second of each camera beside its segments: small files, so that there is work for all.
PICTURES = """
    - name: shots
      streamConfiguration: '{"taskType": "snapshot-to-fs", "autostart": true, "format": "jpeg", "snapshotsPerSecond": 1}'"""

site = ArchiveSite(sys.argv[1], sys.argv[2])
processes = {}
began = None
# Where the next window begins: no two share an item, so each round has work of its own.
reached = None


def start(name):
    log = open(site.folder / f"logs/{name}.log", "ab")
    processes[name] = subprocess.Popen(
        [site.bin / "archiver", "--config", site.folder / "config/archiver.yaml", "--instance", name],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "DEMO_SITE": str(site.folder)})
    log.close()


def log(name):
    return (site.folder / f"logs/{name}.log").read_text()


def by_whom():
    """Who archived which path: (archiver, path) for each line of the logs that says so."""
    return [found.groups() for name in NAMES for found in ARCHIVED.finditer(log(name))]


def submit(request_id, end):
    """The request for all that was recorded since the one before."""
    global reached
    first, reached = reached, end
    for camera in CAMERAS:
        site.until_recorded(camera, end + 1.5)
    site.submit(request_id, CAMERAS, first, end, kinds=("SEGMENT", "SNAPSHOT"))


def everything():
    """Each file of the archive with what would change were it written again."""
    return {path: (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns) for path in site.files(site.archive)}


def done_once(request, late=None):
    """That a request is done, by its files, and that nobody did anything of it twice. A late one may have said that a file is there
    before it was stopped, and not have reported it any more: then another found it there and says so too."""
    expect(site.state(request) == "DONE", f"{site.state(request)}: {request.reason}")
    media = site.true_files(request)
    said = by_whom()
    for file in media:
        who = [name for name, path in said if path == file.archive_path]
        others = [name for name in who if name != late]
        expect(who and len(others) <= 1 and (late or len(who) == 1), f"{file.archive_path} was archived by {who}")
    names = [file.archive_path for file in media]
    expect(len(names) == len(set(names)), "a file is listed twice")
    return media


def stopped_in_the_middle_of_a_copy(request_id):
    """Has footage archived, and stops the victim while it writes. Gives the items that it is at, each with the epoch of its claim."""
    staging = site.archive / ".staging"
    victim = processes[VICTIM].pid
    submit(request_id, now())
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if not any(name.startswith(f"{VICTIM}.") for name in os.listdir(staging)):
            continue
        os.kill(victim, signal.SIGSTOP)
        until("it has stopped", 5, lambda: open(f"/proc/{victim}/stat").read().rpartition(")")[2].split()[0] == "T")
        names = filter(None, map(STAGED.fullmatch, os.listdir(staging)))
        items = {int(found[3]): int(found[2]) for found in names if found[1] == VICTIM}
        if items:
            return items
        # It was at a sidecar, or had ended the copy before the signal came.
        os.kill(victim, signal.SIGCONT)
    raise AssertionError(f"{VICTIM} was never seen at a copy")


def taken_over(request_id, items, since):
    """That others did what the victim was at, within the lease time and what a copy needs."""
    request = site.ended(request_id, TAKEOVER_SECONDS + 30)
    took = time.monotonic() - since
    expect(took <= TAKEOVER_SECONDS, f"{request_id} has ended after {took:.1f} s, the lease is {LEASE_SECONDS} s")
    expect(took >= LEASE_SECONDS * 0.5, f"{request_id} has ended after {took:.1f} s: the claims were not awaited")
    done_once(request, late=VICTIM)
    paths = {file.archive_path for file in request.files if file.item_id in items}
    expect(len(paths) == len(items), f"items {items} of {request_id} are {paths}")
    others = {path for name, path in by_whom() if name != VICTIM}
    expect(paths <= others, f"not done by others: {paths - others}")
    return request


def refused_as_late(file, epoch):
    """Says once more what the victim would have said, had it not been told in time that its claim is lost."""
    claim = site.contract.message("ItemClaim", item_id=file.item_id, epoch=epoch)
    volume = json.loads((site.archive / ".sightglass-volume.json").read_text())["volume_id"]
    try:
        site.call("indexer", "Indexer/CompleteItem", claim=claim, work="WORK_ARCHIVE", worker=f"archiver/{VICTIM}",
                  size_bytes=file.size_bytes, sha256=file.sha256, archive_volume_id=volume)
    except CallError as error:
        expect(error.code == "FAILED_PRECONDITION", error)
        return
    raise AssertionError(f"a completion of {file.archive_path} by an older claim was taken")


# --- Checks ---------------------------------------------------------------------------------------------------------------

def three_archivers_start_on_one_catalogue():
    global began, reached
    settings = site.folder / "config/archiver.yaml"
    settings.write_text(settings.read_text() + f"lease-ms: {LEASE_SECONDS * 1000}\n")
    site.control("stop", "archiver")
    cameras = (site.folder / "config/cameras.yaml").read_text()
    clips = re.compile(r"^ +- name: clips\n.*$", re.MULTILINE)
    site.apply(clips.sub(lambda found: found[0] + PICTURES, cameras))
    for camera in CAMERAS:
        site.record(camera, duration=1)
    for name in NAMES:
        start(name)
    for name in NAMES:
        site.until_ready(name)
    for camera in CAMERAS:
        site.until_recorded(camera, now() - 1)
    began = reached = now() + 0.5


def the_work_is_shared():
    submit("share-all", began + 28)
    media = done_once(site.ended("share-all"))
    expect(len(media) >= ITEMS, f"only {len(media)} items")
    paths = {file.archive_path for file in media}
    counts = {name: sum(who == name and path in paths for who, path in by_whom()) for name in NAMES}
    shares = {name: round(count / len(media), 3) for name, count in counts.items()}
    print(f"        {len(media)} items: {shares}")
    expect(all(SHARES[0] <= share <= SHARES[1] for share in shares.values()), f"of {len(media)} items: {shares}")


def what_a_stopped_one_was_copying_is_done_by_others_and_its_late_end_changes_nothing():
    time.sleep(6)
    items = stopped_in_the_middle_of_a_copy("share-stopped")
    request = taken_over("share-stopped", items, time.monotonic())
    before = everything()
    os.kill(processes[VICTIM].pid, signal.SIGCONT)
    until("it has let go of its work", 20, lambda: not site.staging())
    # It goes on: what it has to say of the old claims comes before the next one.
    until("it knows that its claims are lost", 20, lambda: re.search("claim is lost|refuses the report", log(VICTIM)))
    expect(everything() == before, f"changed: {set(everything().items()) ^ set(before.items())}")
    for file in request.files:
        if file.item_id in items:
            refused_as_late(file, items[file.item_id])
    expect(everything() == before, "a late report changed something")
    expect(site.request("share-stopped") == request, "the request is not what it was")


def what_a_killed_one_was_copying_is_done_by_others_and_nothing_of_it_stays():
    time.sleep(6)
    items = stopped_in_the_middle_of_a_copy("share-killed")
    since = time.monotonic()
    processes[VICTIM].kill()
    processes[VICTIM].wait()
    left = [name for name in site.staging() if name.startswith(f"{VICTIM}.")]
    expect(left, "it left nothing in staging: it was not in the middle of a copy")
    taken_over("share-killed", items, since)
    expect(set(left) <= set(site.staging()), "another removed what was being written by the killed one, which might have lived")
    before = everything()
    start(VICTIM)
    site.until_ready(VICTIM)
    until("it has removed what it left", 10, lambda: not site.staging())
    expect(everything() == before, "its return changed something")


def every_archiver_ends_in_time_and_leaves_nothing():
    for name in NAMES:
        processes[name].terminate()
    for name in NAMES:
        expect(processes[name].wait(5) == 0, f"{name} ended with {processes[name].returncode}")
    expect(not site.staging(), site.staging())


if __name__ == "__main__":
    try:
        check_all("share", [
            three_archivers_start_on_one_catalogue, the_work_is_shared,
            what_a_stopped_one_was_copying_is_done_by_others_and_its_late_end_changes_nothing,
            what_a_killed_one_was_copying_is_done_by_others_and_nothing_of_it_stays, every_archiver_ends_in_time_and_leaves_nothing])
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.kill()
    sys.exit(finish())
