"""A whole site whose archive requests are delivered to the cloud: what came there is what lies on its archive volume, and says what
the requests say. Started by `run`.

    check_site.py SITE BIN
"""
import hashlib
import json
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path += [str(TOP / "Tests" / part) for part in ("Archive", "MQTT", "Python")]
from archive_site import ArchiveSite, now  # noqa: E402
from footage import ensured  # noqa: E402
from harness import check_all, expect, finish  # noqa: E402
from storage import Expected, Storage, header, iso, tag  # noqa: E402

CAMERAS = ("line1", "line2", "dock")
EVENT = "door 7/öffnen"
TYPES = {".mp4": "video/mp4", ".json": "application/json", ".jpg": "image/jpeg"}

site = ArchiveSite(sys.argv[1], sys.argv[2])
storage, began, requests = None, 0.0, []


def the_uploader_uses_the_storage_that_was_named():
    """A site's own unless the environment names another."""
    global storage
    storage = Storage.foreign()
    if storage is None:
        ports = dict(line.split("=") for line in (site.folder / "site.env").read_text().split())
        storage = Storage(f"http://127.0.0.1:{ports['BLOB_PORT']}/demo", "demo", site.folder / "secrets/blob-key", "footage")
        return
    settings = site.folder / "config/cloud-uploader.yaml"
    named = {line.split(":")[0] for line in storage.settings().splitlines()}
    kept = [line for line in settings.read_text().splitlines() if line.split(":")[0] not in named]
    site.control("stop", "cloud-uploader")
    settings.write_text("\n".join(kept) + "\n" + storage.settings())
    site.control("start", "cloud-uploader")
    site.until_ready("cloud-uploader")


def three_cameras_record():
    global began
    for camera in CAMERAS:
        site.record(camera, duration=3)
    for camera in CAMERAS:
        site.until_recorded(camera, now() - 1)
    began = now()
    for camera in CAMERAS:
        site.until_recorded(camera, began + 16)


def requests_for_files_a_clip_and_an_event_are_delivered():
    """No footage of two of them is the same, so that each sidecar names one request."""
    site.submit("files-1", ["line1"], began + 1, began + 14, delivery="CLOUD")
    site.submit("clip-1", ["line2"], began + 2.4, began + 11.7, mode="CLIP", delivery="CLOUD")
    window = site.window(began + 3, began + 9)
    camera = ensured(site.contract, site.client("asset-registry"), None, "dock", window, EVENT)
    made = site.call(
        "indexer", "Indexer/SubmitEvent", event_key=EVENT, rule="doors", event_us=round((began + 5) * 1e6), start_offset_ms=-2000,
        end_offset_ms=4000, cameras=[camera], delivery="DELIVERY_CLOUD", requested_by="cloud-checks", priority=50)
    for request_id in ("files-1", "clip-1", made.request.request_id):
        request = site.ended(request_id, 90)
        expect(site.state(request) == "DONE", f"{request_id} is {site.state(request)}: {request.reason}")
        requests.append(request)


def blobs_of(request):
    """What the storage must have of a request: media by what the request says of it, its sidecar, the manifest."""
    result = {}
    for file in request.files:
        content = (site.archive / file.archive_path).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        expect(digest == file.sha256.hex() and len(content) == file.size_bytes, f"{file.archive_path} is not what the request says")
        is_media = not file.archive_path.startswith("sightglass.requests/")
        shared = {"start": iso(file.window.start_us), "end": iso(file.window.end_us)} if is_media else {}
        texts = {"camera": file.camera} if is_media else {}
        metadata = {**shared, **{key: header(text) for key, text in texts.items()}, "requests": header(request.request_id)}
        tags = {**shared, **{key: tag(text) for key, text in texts.items()}, "request": tag(request.request_id)}
        if request.event_keys:
            tags["event"] = tag(min(request.event_keys))
        kind = TYPES[Path(file.archive_path).suffix]
        mark = {"sha256": digest}
        result[file.archive_path] = Expected(content, kind, {**metadata, **mark}, {**tags, **mark}, at_least=not is_media)
        if is_media:
            side = str(Path(file.archive_path).with_suffix(".json"))
            mark = {"media_sha256": digest}
            result[side] = Expected((site.archive / side).read_bytes(), TYPES[".json"], {**metadata, **mark}, {**tags, **mark})
    return result


def everything():
    return {path: blob for request in requests for path, blob in blobs_of(request).items()}


def only_what_was_asked_for_is_there():
    there = everything()
    expect(len(there) >= 12, f"only {sorted(there)}")
    storage.has_exactly(there)


def the_sdk_reads_back_content_md5_type_metadata_and_tags():
    for path, blob in everything().items():
        storage.read_by_sdk(path, blob)


def rclone_reads_back_content_md5_type_and_metadata():
    storage.read_by_rclone(site.archive, everything())


def each_request_says_where_its_blobs_are():
    for request in requests:
        for file in request.files:
            url = storage.container.get_blob_client(file.archive_path).url
            expect(file.blob_url and file.blob_url.replace("%3A", ":") == url.replace("%3A", ":"), f"{file.blob_url} instead of {url}")


def footage_is_found_by_camera_time_request_and_event():
    files, clip, event = ([file for file in request.files if file.camera] for request in requests)
    first, last = (iso(files[index].window.start_us) for index in (0, -1))
    for where, wanted in [
            (f"\"camera\"='line1' AND \"start\">='{first}' AND \"start\"<='{last}'", files),
            (f"\"request\"='{tag(requests[1].request_id)}' AND \"camera\"='line2'", clip),
            (f"\"event\"='{tag(EVENT)}' AND \"camera\"='dock'", event)]:
        found = [name for name in storage.found_by_tags(where) if not name.endswith(".json")]
        expect(found == sorted(file.archive_path for file in wanted), f"{where} finds {found}")


def each_manifest_in_the_cloud_names_blobs_that_are_there():
    names = set(storage.listed())
    for request in requests:
        manifest = json.loads(storage.container.download_blob(request.manifest_path).readall())
        media = [file["path"] for file in manifest["files"]]
        expect(media and set(media) <= names, f"{request.manifest_path} names {set(media) - names}, which are not there")


def nothing_was_begun_and_left():
    storage.has_no_rubbish()


if __name__ == "__main__":
    check_all("site", [the_uploader_uses_the_storage_that_was_named, three_cameras_record,
                       requests_for_files_a_clip_and_an_event_are_delivered])
    try:
        if len(requests) == 3:
            check_all("site", [
                only_what_was_asked_for_is_there, the_sdk_reads_back_content_md5_type_metadata_and_tags,
                rclone_reads_back_content_md5_type_and_metadata, each_request_says_where_its_blobs_are,
                footage_is_found_by_camera_time_request_and_event, each_manifest_in_the_cloud_names_blobs_that_are_there,
                nothing_was_begun_and_left])
    finally:
        if storage is not None:
            storage.remove()
    sys.exit(finish())
