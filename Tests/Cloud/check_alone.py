"""The uploader alone, with a faked indexer: files of every size about its bounds, odd names, a large file in small blocks, one that is
there already, one that goes on where it was cut off. Started by `run`.

    check_alone.py FOLDER BIN
"""
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

from azure.core.exceptions import ResourceNotFoundError

TOP = Path(__file__).resolve().parents[2]
sys.path += [str(TOP / "Tests/MQTT"), str(TOP / "Tests/Python")]
from fake_indexer import FakeIndexer  # noqa: E402
from harness import check_all, expect, finish, until  # noqa: E402
from sightglass import Contract  # noqa: E402
from storage import Expected, Storage, header, iso, tag  # noqa: E402

folder, binaries = Path(sys.argv[1]), Path(sys.argv[2])
run_directory, archive = folder / "run", folder / "archive"
# The smallest that the uploader takes, so that many blocks are few bytes.
BLOCK = 65_536
LARGE = 300_000_000
START_US = 1_796_014_800_000_000
SECOND = 1_000_000
LIMIT_SECONDS = 90
# A claim of a killed uploader falls back so soon.
LEASE_MS = 2000

SIZES = {
    "empty": 0, "one byte": 1, "a block less one": BLOCK - 1, "a block": BLOCK, "a block and one": BLOCK + 1,
    "two blocks less one": 2 * BLOCK - 1, "two blocks": 2 * BLOCK, "two blocks and one": 2 * BLOCK + 1, "seven blocks": 7 * BLOCK,
}
NAMES = [
    "plain.mp4", "with space.mp4", "plus+and&.mp4", "100%.mp4", "%2F.mp4", "hash#tag.mp4", "what?.mp4", "semi;colon,comma.mp4",
    "quote'\"quote.mp4", "Tor Süd.mp4", "Tor Su\u0308d.mp4", "カメラ1.mp4", "kamera-📷.mp4", "dots.in.name.mp4",
    "équipe/à côté/x.mp4",
    "~tilde!(brackets)[square]{curly}.mp4", "equals=at@$.mp4", "pipe|caret^tick`.mp4", "<angle>.mp4", "colon:2026-11-30T05:00:00Z.mp4",
    "no-extension", "UPPER.JPG", "sub/folder/deep/x.json",
]
TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".json": "application/json"}

contract = Contract(TOP / "proto")
expected, items, process = {}, [], None


def content_of(name, size):
    return random.Random(name).randbytes(size)


def written(path, content):
    file = archive / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def make(path, content, camera, with_sidecar=True, events=()):
    """A file as the archiver leaves it, the item that asks for its upload, and what its blobs must be."""
    number = len(items) + 1
    window = (START_US + number * 10 * SECOND, START_US + (number + 1) * 10 * SECOND)
    requests = [f"request {number}", "another/ünïcode"]
    digest = hashlib.sha256(content).digest()
    written(path, content)
    sidecar = json.dumps({"camera_id": camera, "event_keys": list(events)}).encode() if with_sidecar else b""
    kind = "ITEM_KIND_SEGMENT" if with_sidecar else "ITEM_KIND_MANIFEST"
    items.append(contract.message(
        "ClaimedItem", item_id=number, epoch=1, kind=kind, archive_path=path, size_bytes=len(content), sha256=digest, camera=camera,
        window=contract.message("Window", start_us=window[0], end_us=window[1]), request_ids=requests, sidecar=sidecar, attempts=0))
    expected[path] = Expected(content, TYPES.get(Path(path).suffix.lower(), "application/octet-stream"),
                              *labels("sha256", digest, camera, window, requests, events))
    if with_sidecar:
        side = str(Path(path).with_suffix(".json"))
        written(side, sidecar)
        expected[side] = Expected(sidecar, "application/json", *labels("media_sha256", digest, camera, window, requests, events))


def labels(name, digest, camera, window, requests, events):
    """Metadata and tags, by the documents of the uploader."""
    shared = {name: digest.hex(), "start": iso(window[0]), "end": iso(window[1])}
    metadata = {**shared, "camera": header(camera), "requests": header(",".join(sorted(requests)))}
    tags = {key: tag(value) for key, value in {**shared, "camera": camera, "request": min(requests)}.items()}
    if events:
        tags["event"] = tag(min(events))
    return metadata, tags


def prepare():
    run_directory.mkdir(parents=True)
    archive.mkdir()
    subprocess.run([binaries / "sightglass", "volume", "adopt", archive, "--role", "archive"], check=True, capture_output=True)
    for what, size in SIZES.items():
        make(f"sizes/{what}.mp4", content_of(what, size), "cam1")
    for number, name in enumerate(NAMES):
        # A sidecar's name is the media's with another extension: only for those that have one, and are none.
        make(f"odd/{number}/{name}", content_of(name, 100 + number), name[:60], with_sidecar=name.endswith((".mp4", ".JPG")),
             events=("door 7/öffnen", "z") if number % 2 else ())


def start_uploader():
    global process
    settings = folder / "cloud-uploader.yaml"
    settings.write_text(f"run-directory: {run_directory}\narchive-volume: {archive}\nwait-ms: 500\nlease-ms: {LEASE_MS}\n"
                        f"single-put-bytes: {BLOCK}\nblock-bytes: {BLOCK}\n{storage.settings()}")
    with open(folder / "cloud-uploader.log", "ab") as log:
        process = subprocess.Popen([binaries / "cloud-uploader", "--config", settings], stdout=log, stderr=log)


def uploaded(given):
    """Gives work and waits until it is done; none of it may fail."""
    indexer.give(given)
    done(given)


def done(given):
    ended = indexer.wait([item.item_id for item in given], LIMIT_SECONDS)
    failures = [f"{failure.reason}" for failure in indexer.failed.values()]
    expect(not failures, f"failed: {failures}")
    expect(ended, f"{len(indexer.completed)} items are done after {LIMIT_SECONDS} s, not these {len(given)}")


# --- Checks -------------------------------------------------------------------------------------------------------------


def everything_is_uploaded():
    uploaded(items)


def only_what_was_asked_for_is_there():
    storage.has_exactly(expected)


def the_sdk_reads_back_content_md5_type_metadata_and_tags():
    for path, blob in expected.items():
        storage.read_by_sdk(path, blob)


def rclone_reads_back_content_md5_type_and_metadata():
    storage.read_by_rclone(archive, expected)


def the_indexer_was_told_where_each_blob_is():
    for item in items:
        url = storage.container.get_blob_client(item.archive_path).url
        told = indexer.completed[item.item_id].blob_url
        # Both are URLs; which characters need no escape is a matter of taste.
        expect(unquote(told) == unquote(url), f"{item.archive_path}: {told} instead of {url}")


def blobs_are_found_by_their_tags():
    start = iso(items[3].window.start_us)
    found = storage.found_by_tags(f"\"camera\"='cam1' AND \"start\"<='{start}'")
    media = [item.archive_path for item in items[:4]]
    wanted = sorted(media + [str(Path(path).with_suffix(".json")) for path in media])
    expect(found == wanted, f"found {found}, not {wanted}")


def what_is_there_already_is_not_sent_again():
    before = {name: blob.etag for name, blob in storage.listed().items()}
    again = [contract.message("ClaimedItem") for _ in items]
    for copy, item in zip(again, items):
        copy.CopyFrom(item)
        copy.item_id += 1000
    uploaded(again)
    expect({name: blob.etag for name, blob in storage.listed().items()} == before, "a blob was written anew")


def another_blob_of_that_name_is_not_replaced():
    path = "taken/by another.mp4"
    storage.container.upload_blob(path, b"somebody else's")
    make(path, b"ours", "cam1", with_sidecar=False)
    item = items.pop()
    del expected[path]
    indexer.give([item])
    until("the item fails", 30, lambda: item.item_id in indexer.failed)
    failure = indexer.failed.pop(item.item_id)
    expect(not failure.retryable and path.split("/")[1] in unquote(failure.reason), f"the failure says: {failure.reason}")
    expect(storage.container.download_blob(path).readall() == b"somebody else's", "the other blob was replaced")
    storage.container.delete_blob(path)
    (archive / path).unlink()


def a_large_file_goes_up_in_small_blocks_and_goes_on_after_a_kill():
    # Repeated, for making 300 MB of chance takes longer than sending them.
    block = content_of("large", 1 << 20)
    content = b"".join(number.to_bytes(8, "big") + block for number in range(LARGE // (len(block) + 8)))
    content += bytes(LARGE - len(content))
    make("large/film.mp4", content, "cam1")
    blob = storage.container.get_blob_client("large/film.mp4")
    indexer.give(items[-1:])
    until("some blocks are there", 60, lambda: blocks_of(blob) > 500)
    process.kill()
    process.wait()
    sent = blocks_of(blob)
    expect(items[-1].item_id not in indexer.completed, "it was done before it could be killed")
    start_uploader()
    done(items[-1:])
    log = (folder / "cloud-uploader.log").read_text()
    expect("going on where an earlier upload ended" in log, "the second uploader began anew")
    expect(sent > 500, f"{sent} blocks")
    committed, _ = blob.get_block_list("all")
    count = -(-LARGE // BLOCK)
    sizes = [BLOCK] * (count - 1) + [LARGE - (count - 1) * BLOCK]
    expect([block.size for block in committed] == sizes, f"{len(committed)} blocks, not {count}")
    storage.read_by_sdk("large/film.mp4", expected["large/film.mp4"])


def blocks_of(blob):
    try:
        return len(blob.get_block_list("uncommitted")[1])
    except ResourceNotFoundError:
        return 0


def no_block_was_begun_and_left():
    storage.has_exactly(expected)
    storage.has_no_rubbish()


def the_uploader_ends_when_it_is_asked():
    process.terminate()
    expect(process.wait(10) == 0, f"exit status {process.returncode}")


if __name__ == "__main__":
    prepare()
    storage = Storage.foreign() or Storage(os.environ["OWN_ENDPOINT"], os.environ["OWN_ACCOUNT"], os.environ["OWN_KEY_FILE"])
    indexer = FakeIndexer(contract, run_directory)
    start_uploader()
    try:
        check_all("alone", [
            everything_is_uploaded, only_what_was_asked_for_is_there, the_sdk_reads_back_content_md5_type_metadata_and_tags,
            rclone_reads_back_content_md5_type_and_metadata, the_indexer_was_told_where_each_blob_is, blobs_are_found_by_their_tags,
            what_is_there_already_is_not_sent_again, another_blob_of_that_name_is_not_replaced,
            a_large_file_goes_up_in_small_blocks_and_goes_on_after_a_kill, no_block_was_begun_and_left,
            the_uploader_ends_when_it_is_asked])
    finally:
        if process.poll() is None:
            process.kill()
        storage.remove()
        indexer.close()
    sys.exit(finish())
