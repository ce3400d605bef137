"""Puts blobs under odd names with our uploader and with the official SDK, and has each find what the other put.

Called by `run`, which says how the endpoint is given. The uploader is the real executable, with an archive volume of such files and
an indexer that asks for all of them. Ends with a line "N passed, N failed"; exit status 1 if any failed.
"""
import hashlib
import os
import subprocess
import sys
import uuid
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

TOP = Path(__file__).resolve().parents[3]
sys.path += [str(TOP / folder) for folder in ("Tests/Support/signatures", "Tests/Cloud", "Tests/Python")]
from fake_indexer import FakeIndexer  # noqa: E402
from odd_names import ODD_NAMES, on_volume  # noqa: E402
from sightglass import Contract  # noqa: E402

ENDPOINT = os.environ["SIGHTGLASS_BLOB_ENDPOINT"]
ACCOUNT = os.environ.get("SIGHTGLASS_BLOB_ACCOUNT", "devstoreaccount1")
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
if os.environ.get("SIGHTGLASS_BLOB_KEY_FILE"):
    KEY = Path(os.environ["SIGHTGLASS_BLOB_KEY_FILE"]).read_text(encoding="ascii").strip()
WORK, BIN = Path(sys.argv[1]) / "names", Path(sys.argv[2])
VOLUME = WORK / "archive"
passed = failed = 0


def check(name, body):
    global passed, failed
    try:
        wrong = body()
    except Exception as error:  # every kind of failure counts, none may end the run
        wrong = f"{type(error).__name__}: {str(error)[:300]}"
    if wrong:
        failed += 1
        print("FAIL ", name, wrong)
    else:
        passed += 1
        print("ok   ", name)


def content(blob):
    """Some in one request, some in blocks: run_uploader has the bounds."""
    seed = hashlib.sha256(blob.encode()).digest()
    return seed * (3 if seed[0] % 4 else 5000)


def write(blob):
    path = os.fsencode(VOLUME) + b"/" + blob.encode()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content(blob))


def run_uploader(container):
    """Has it upload all files, and gives how many (were completed, failed)."""
    items = [contract.message(
        "ClaimedItem", item_id=number, epoch=1, kind="ITEM_KIND_MANIFEST", archive_path=name, size_bytes=len(content(name)),
        sha256=hashlib.sha256(content(name)).digest()) for number, name in enumerate(names, 1)]
    (WORK / "run").mkdir(exist_ok=True)
    indexer = FakeIndexer(contract, WORK / "run")
    with open(WORK / "uploader.log", "ab") as log:
        uploader = subprocess.Popen(
            [BIN / "cloud-uploader", "--run-directory", WORK / "run", "--archive-volume", VOLUME, "--secrets-directory", WORK / "secrets",
             "--key-file", "key", "--blob-endpoint", ENDPOINT, "--account", ACCOUNT, "--container", container, "--parallel", "4",
             "--wait-ms", "500", "--single-put-bytes", "1000", "--block-bytes", "65536"], stdout=log, stderr=log)
    try:
        indexer.give(items)
        if not indexer.wait([item.item_id for item in items], 120):
            raise AssertionError("the uploader did not come to its end: " + (WORK / "uploader.log").read_text()[-600:])
    finally:
        uploader.terminate()
        uploader.wait(10)
        indexer.close()
    return len(indexer.completed), len(indexer.failed)


def read_back(client, blob):
    try:
        got = client.download_blob(blob)
    except ResourceNotFoundError:
        return "it is not there"
    data = got.readall()
    if data != content(blob):
        return f"{len(data)} bytes, other content"
    if got.properties.metadata.get("sha256") != hashlib.sha256(data).hexdigest():
        return f"metadata {got.properties.metadata}"
    return None


contract = Contract(TOP / "proto")
# The volume's own names, at its root, begin with '.', and one name may be another's folder: each has a folder of its own.
names = [f"{index:03d}/{name}" for index, name in enumerate(ODD_NAMES) if on_volume(f"{index:03d}/{name}")]
VOLUME.mkdir(parents=True)
subprocess.run([BIN / "sightglass", "volume", "adopt", VOLUME, "--role", "archive"], check=True, stdout=subprocess.DEVNULL)
for name in names:
    write(name)
(WORK / "secrets").mkdir()
(WORK / "secrets/key").write_text(KEY + "\n", encoding="ascii")
service = BlobServiceClient(ENDPOINT, credential=KEY, retry_total=0)
ours, theirs = (service.get_container_client("sightglass-" + uuid.uuid4().hex[:12]) for _ in range(2))

check("at least 50 odd names", lambda: len(names) < 50 and f"{len(names)}")
ours.create_container()
check("our uploader puts them all", lambda: (
    lambda counts: counts != (len(names), 0) and f"{counts}")(run_uploader(ours.container_name)))
for name in names:
    check(f"the SDK reads ours: {name[4:]!r}", lambda: read_back(ours, name))
check("and lists no other names", lambda: (
    lambda listed: sorted(listed) != sorted(names) and f"{set(listed) ^ set(names)}")([b.name for b in ours.list_blobs()]))

theirs.create_container()
etags = {}
for index, name in enumerate(names):
    # Each third blob has other content, which ours must refuse to replace.
    data = b"another's" if index % 3 == 2 else content(name)
    etags[name] = theirs.upload_blob(name, data, metadata={"sha256": hashlib.sha256(data).hexdigest()}).get_blob_properties().etag
strangers = len(names) // 3
check("our uploader finds what the SDK put, and refuses what is not its own", lambda: (
    lambda counts: counts != (len(names) - strangers, strangers) and f"{counts}")(run_uploader(theirs.container_name)))
for name in names:
    check(f"the SDK's is untouched: {name[4:]!r}", lambda: (
        theirs.get_blob_client(name).get_blob_properties().etag != etags[name] and "another ETag"))
check("and there is no other name", lambda: sorted(b.name for b in theirs.list_blobs()) != sorted(names) and "others were made")
check("no credential in what the uploader wrote", lambda: (
    lambda scan: scan.returncode != 0 and scan.stdout)(subprocess.run(
        [BIN / "canary-scan", "files", WORK], capture_output=True, text=True)))
for container in (ours, theirs):
    container.delete_container()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
