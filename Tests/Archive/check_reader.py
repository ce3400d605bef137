"""What the archive holds is read by a reader of edge-ai's layout that knows nothing of Sightglass, and compared with the
catalogue: two cameras, one of them dark for some seconds, and windows that overlap. Started by `run`.

    check_reader.py SITE BIN
"""
import hashlib
import json
import subprocess
import sys
import time

from archive_site import FRAME_RATE, ArchiveSite, agree, now
from harness import check_all, expect, finish, until
from layout_reader import Footage, Segment, joined

CAMERAS = ("line1", "line2")
RECORD_SECONDS = 40
DARK_SECONDS = 8
# Gaps that the query API on this layout reports.
REPORTED_SECONDS = 5.0
# The indexer's `seam-ms`: two files so close are one span.
SEAM_SECONDS = 0.25
EQUAL_SECONDS = 0.010

site = ArchiveSite(sys.argv[1], sys.argv[2])
reader = Footage(site.archive)
windows, requests = [], []


def two_cameras_record_and_one_goes_dark_meanwhile():
    for camera in CAMERAS:
        site.record(camera, duration=5)
    for camera in CAMERAS:
        site.until_recorded(camera, now() - 1)
    began = now()
    time.sleep(14)
    site.control("kill", "camera-line1")
    time.sleep(DARK_SECONDS)
    site.control("start", "camera-line1")
    back = now()
    until("line1 is recorded again", 30, lambda: site.recorded_to("line1") > back)
    end = began + RECORD_SECONDS
    for camera in CAMERAS:
        site.until_recorded(camera, end + 1, seconds=60)
    # They overlap; the second has the whole dark time, the third begins in it.
    windows.extend([(began + 1.2, began + 13.4), (began + 10.1, began + 33.3), (began + 20.0, end - 1.5)])


def overlapping_windows_end_as_they_should():
    for number, (start, end) in enumerate(windows):
        site.submit(f"reader-{number}", CAMERAS, start, end)
    for number, expected in enumerate(("DONE", "PARTIAL", "PARTIAL")):
        request = site.ended(f"reader-{number}")
        requests.append(request)
        expect(site.state(request) == expected, f"reader-{number} is {site.state(request)}: {request.reason}")
        gaps = {gap.source.device for gap in request.gaps}
        expect(gaps == (set() if expected == "DONE" else {"line1-camera"}), f"reader-{number} has gaps of {gaps}")


def spans():
    """Each requested window, and all of them as one."""
    return [*windows, (windows[0][0], windows[-1][1])]


def windows_agree_with_the_catalogue():
    for camera in CAMERAS:
        for start, end in spans():
            covered, _ = site.coverage(camera, start, end)
            agree(covered, joined(reader.windows(camera, start, end), SEAM_SECONDS), EQUAL_SECONDS, f"{camera} {start:.3f} to {end:.3f}")


def gaps_agree_with_the_catalogue():
    found = 0
    for camera in CAMERAS:
        for start, end in spans():
            _, gaps = site.coverage(camera, start, end)
            said = [gap for gap in gaps if gap[1] - gap[0] > REPORTED_SECONDS]
            agree(said, reader.gaps(camera, start, end, REPORTED_SECONDS), EQUAL_SECONDS, f"{camera} {start:.3f} to {end:.3f}")
            found += len(said)
    # In the second window, and in all of them together; the third has too little of the dark time.
    expect(found >= 2, f"{found} gaps of more than {REPORTED_SECONDS} s, where line1 was dark for {DARK_SECONDS} s")


def every_film_has_a_sidecar_and_every_sidecar_a_film():
    films = {path.with_suffix("") for path in site.archived_media()}
    sidecars = {path.with_suffix("") for camera in CAMERAS for path in (site.archive / camera).rglob("*.json")}
    expect(films, "no film was archived")
    expect(films == sidecars, f"without the other: {sorted(str(p) for p in films ^ sidecars)}")


def names_and_folders_are_those_of_the_start():
    # `Segment` compares name, folder, times and `file_name`, and raises what is wrong.
    for film in site.archived_media():
        segment = Segment(film.with_suffix(".json"))
        expect(segment.film == film and segment.camera in CAMERAS, f"{film}: {segment.said}")


def every_film_plays_and_is_as_long_as_its_sidecar_says():
    for film in site.archived_media():
        # Of its pictures: sound may go on for a moment behind the last one.
        played = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=duration", "-of", "csv=p=0", film],
                                capture_output=True, text=True, timeout=60)
        expect(played.returncode == 0 and not played.stderr, f"{film}: {played.stderr}")
        segment = Segment(film.with_suffix(".json"))
        frame = 1 / FRAME_RATE[segment.camera]
        expect(abs(float(played.stdout) - segment.duration) <= frame, f"{film}: {played.stdout.strip()} s, sidecar {segment.duration} s")


def manifests_and_sidecars_are_true():
    delivered = set()
    for request in requests:
        delivered |= {site.archive / file.archive_path for file in site.true_files(request)}
    expect(delivered == set(site.archived_media()), f"delivered and there differ: {delivered ^ set(site.archived_media())}")
    for film in delivered:
        said = json.loads(film.with_suffix(".json").read_text())
        content = film.read_bytes()
        true = (len(content), hashlib.sha256(content).hexdigest())
        expect((said["size_bytes"], said["sha256"]) == true, f"{film} is {true}, its sidecar says {said}")


if __name__ == "__main__":
    check_all("reader", [two_cameras_record_and_one_goes_dark_meanwhile, overlapping_windows_end_as_they_should])
    if len(requests) == 3:
        check_all("reader", [
            windows_agree_with_the_catalogue, gaps_agree_with_the_catalogue, every_film_has_a_sidecar_and_every_sidecar_a_film,
            names_and_folders_are_those_of_the_start, every_film_plays_and_is_as_long_as_its_sidecar_says,
            manifests_and_sidecars_are_true])
    sys.exit(finish())
