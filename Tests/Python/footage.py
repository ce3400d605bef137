"""Lists the cameras, has a camera's footage of the last seconds archived, and follows the request to its end.

    footage.py CAMERA SECONDS --indexer ADDRESS --indexer-hints ADDRESS --asset-registry ADDRESS
               [--authorities FOLDER --certificate FILE --key FILE]

It does what `sightglass archive` does, in the order that proto/README.md gives ("Asking for footage"). Exit status 0: all
of the window was delivered; 1: not; 69: a service did not answer.
"""
import argparse
import sys
import time
import uuid
from pathlib import Path

from sightglass import CallError, Client, Contract, Hints, Identity

CALLER = "operator/footage.py"
# The request's state is asked for on a slow timer too, because hints may be lost.
TIMER_SECONDS = 2
FOLLOW_SECONDS = 90


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camera")
    parser.add_argument("seconds", type=float)
    for name in ("indexer", "indexer-hints", "asset-registry"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("authorities", "certificate", "key"):
        parser.add_argument(f"--{name}")
    return parser.parse_args()


def main(arguments):
    contract = Contract(Path(__file__).resolve().parents[2] / "proto")
    identity = None
    if arguments.certificate:
        identity = Identity(arguments.authorities, arguments.certificate, arguments.key)
    registry = Client(contract, "asset-registry", arguments.asset_registry, CALLER, identity)
    indexer = Client(contract, "indexer", arguments.indexer, CALLER, identity)
    # Before the request is made, so that no hint of it is missed for want of a connection.
    hints = Hints(contract, "indexer", arguments.indexer_hints, identity)

    for camera in indexer.call("Indexer/ListCameras").cameras:
        print(f"camera {camera.camera}: {camera.segments} segments, {camera.snapshots} snapshots, {camera.bytes} bytes")

    now_us = time.time_ns() // 1000
    window = contract.message("Window", start_us=now_us - round(arguments.seconds * 1_000_000), end_us=now_us)
    request_id = f"footage-{uuid.uuid4()}"
    camera = ensured(contract, registry, identity, arguments.camera, window, request_id)
    reply = indexer.call(
        "Indexer/SubmitArchive", request_id=request_id, window=window, cameras=[camera], requested_by=CALLER, delivery="DELIVERY_CLOUD",
        mode="ARCHIVE_MODE_FILES", priority=50)
    print(f"request {request_id}: {contract.names('Receipt')[reply.receipt].lower()}")
    request = followed(contract, indexer, hints, request_id)
    for file in request.files:
        print(f"file {file.archive_path} {file.size_bytes} {file.sha256.hex()}")
    if request.reason:
        print(f"reason {request.reason}")
    return 0 if contract.names("RequestState")[request.state] == "DONE" else 1


def ensured(contract, registry, identity, name, window, request_id):
    """The camera as a request names it, after the controller that holds it was asked to keep the footage."""
    streams = registry.call("AssetRegistry/GetConfiguration").streams
    source = next((s.source for s in streams if s.name.asset == name), None)
    if source is None:
        raise CallError("NOT_FOUND", f"no asset is called {name}")
    camera = contract.message("RequestedCamera", camera=name, source=source)
    leases = registry.call("AssetRegistry/ListLeases").leases
    address = next((lease.holder_address for lease in leases if lease.source == source), "")
    if not address:
        camera.footage_reason = "no controller holds the camera"
        return camera
    controller = Client(contract, "capture-controller", address, CALLER, identity)
    try:
        kept = controller.call("CaptureController/EnsureFootage", key=request_id, sources=[source], window=window).sources[0]
        camera.footage, camera.footage_reason = kept.state, kept.reason
        print(f"footage {contract.names('FootageState')[kept.state].lower()} {kept.reason}".rstrip())
    except CallError as error:
        # The request is worth making all the same: what is on the volume is delivered.
        camera.footage_reason = str(error)
    finally:
        controller.close()
    return camera


def followed(contract, indexer, hints, request_id):
    """The request when it has ended. It is asked for when a hint names it, when hints were lost, and on a slow timer."""
    names, shown, end = contract.names("RequestState"), None, time.monotonic() + FOLLOW_SECONDS
    while time.monotonic() < end:
        request = indexer.call("Indexer/GetRequest", request_id=request_id)
        if names[request.state] != shown:
            shown = names[request.state]
            print(f"request {request_id}: {shown.lower()}")
        if shown in ("DONE", "PARTIAL", "FAILED", "CANCELLED"):
            return request
        wake = time.monotonic() + TIMER_SECONDS
        while (rest := wake - time.monotonic()) > 0:
            hint, lost = hints.next(rest)
            if lost or hint is not None and (hint.topic, hint.name) == ("requests/", request_id):
                break
    raise CallError("DEADLINE_EXCEEDED", f"request {request_id} has not ended within {FOLLOW_SECONDS} s")


if __name__ == "__main__":
    try:
        sys.exit(main(parsed()))
    except CallError as error:
        print(error, file=sys.stderr)
        sys.exit(69 if error.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") else 1)
