"""A site as the checks of this folder use it: cameras that record, requests for their footage, and what lies on the volumes
afterwards. The processes are those of Tests/MQTT/harness.py, the calls those of Tests/Python."""
import contextlib
import hashlib
import io
import json
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path += [str(TOP / "Tests/MQTT"), str(TOP / "Tests/Python")]
from footage import ensured  # noqa: E402
from harness import Site, expect, until  # noqa: E402

FINAL = ("DONE", "PARTIAL", "FAILED", "CANCELLED")
# Frames per second of the films that the site's cameras play.
FRAME_RATE = {"line1": 25, "line2": 25, "dock": 15}


def us(seconds):
    return round(seconds * 1_000_000)


class ArchiveSite(Site):
    """A running site. Times are seconds since 1970."""

    def __init__(self, folder, executables):
        super().__init__(folder, executables)
        self.archive, self.recording = self.folder / "archive", self.folder / "recording"

    # --- Recording ------------------------------------------------------------------------------------------------------

    def record(self, asset, stream="clips", **settings):
        """Starts a stream with settings of its own."""
        name = self.contract.message("StreamName", asset=asset, stream=stream)
        self.call("asset-registry", "AssetRegistry/SetDesiredState", stream=name, running=True, override_json=json.dumps(settings),
                  started_by="archive-checks")

    def recorded_to(self, asset):
        """Up to when a camera's footage is safe on disk; 0 where it is not being recorded."""
        sources = self.call("capture-controller", "CaptureController/ListStatus", asset=asset).sources
        return max((source.synced_to_us for source in sources), default=0) / 1e6

    def until_recorded(self, asset, when, seconds=40):
        until(f"{asset} is recorded up to {when:.3f}", seconds, lambda: self.recorded_to(asset) >= when)

    # --- Requests -------------------------------------------------------------------------------------------------------

    def window(self, start, end):
        return self.contract.message("Window", start_us=us(start), end_us=us(end))

    def submit(self, request_id, cameras, start, end, mode="FILES", delivery="ARCHIVE", kinds=("SEGMENT",)):
        """Asks for footage as every client does: first the controllers are asked to keep it."""
        window = self.window(start, end)
        registry = self.client("asset-registry")
        with contextlib.redirect_stdout(io.StringIO()):
            resolved = [ensured(self.contract, registry, None, camera, window, request_id) for camera in cameras]
        return self.call(
            "indexer", "Indexer/SubmitArchive", request_id=request_id, window=window, cameras=resolved, requested_by="archive-checks",
            reason="a check", delivery=f"DELIVERY_{delivery}", mode=f"ARCHIVE_MODE_{mode}", priority=50,
            kinds=[f"MEDIA_KIND_{kind}" for kind in kinds])

    def request(self, request_id):
        return self.call("indexer", "Indexer/GetRequest", request_id=request_id)

    def state(self, request):
        return self.contract.names("RequestState")[request.state]

    def ended(self, request_id, seconds=60):
        """The request when it has ended."""
        def probe():
            request = self.request(request_id)
            return request if self.state(request) in FINAL else None
        return until(f"request {request_id} has ended", seconds, probe)

    def coverage(self, asset, start, end):
        """(covered, gaps) by the catalogue, as lists of (start, end); gaps of several causes that adjoin are one."""
        reply = self.call("indexer", "Indexer/Coverage", asset=asset, window=self.window(start, end))
        gaps = []
        for gap in reply.gaps:
            span = (gap.window.start_us / 1e6, gap.window.end_us / 1e6)
            if gaps and span[0] <= gaps[-1][1]:
                gaps[-1] = (gaps[-1][0], max(gaps[-1][1], span[1]))
            else:
                gaps.append(span)
        return [(span.start_us / 1e6, span.end_us / 1e6) for span in reply.covered], gaps

    # --- What is there --------------------------------------------------------------------------------------------------

    def manifest(self, request):
        expect(request.manifest_path, f"{request.request_id} has no manifest")
        return json.loads((self.archive / request.manifest_path).read_text())

    def true_files(self, request):
        """The media of a request, after each was compared with the size and SHA-256 that request and manifest name, and the two
        with each other."""
        listed = {file["path"]: file for file in self.manifest(request)["files"]}
        media = [file for file in request.files if not file.archive_path.startswith("sightglass.requests/")]
        expect(sorted(listed) == sorted(file.archive_path for file in media), f"manifest {sorted(listed)}, request {media}")
        for file in media:
            content = (self.archive / file.archive_path).read_bytes()
            true = (len(content), hashlib.sha256(content).hexdigest())
            named = listed[file.archive_path]
            for said in ((file.size_bytes, file.sha256.hex()), (named["size_bytes"], named["sha256"])):
                expect(said == true, f"{file.archive_path} is {true}, said is {said}")
        return media

    def archived_media(self):
        """Every file of the archive volume that is footage or a picture, not a sidecar, a manifest or the volume's own."""
        return sorted(p for p in self.files(self.archive) if p.suffix != ".json")

    @staticmethod
    def files(volume):
        """All files of a volume but those that are hidden: its marker, and what is being written."""
        return sorted(p for p in volume.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.relative_to(volume).parts))

    def staging(self):
        """What is being written to the archive volume, or was left."""
        return sorted(p.name for p in (self.archive / ".staging").iterdir())


def agree(said, found, within, what):
    """Whether two lists of spans are the same, each time within so many seconds."""
    same = len(said) == len(found) and all(
        abs(a - b) <= within for one, other in zip(said, found) for a, b in zip(one, other))
    expect(same, f"{what}: the catalogue says {said}, the files {found}")


def now():
    return time.time()
