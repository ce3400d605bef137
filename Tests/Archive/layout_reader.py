"""Reads a folder of footage in the layout of edge-ai's media capture service, as the Blob query API on top of it does. Written
from the description of that layout alone, so that it can tell whether what Sightglass archives is that layout:

    {camera_id}/{YYYY}/{MM}/{DD}/{HH}/segment_{YYYY-MM-DDTHH:MM:SSZ}_{camera_id}.{mp4|mkv}

and beside each film a `.json` with `camera_id`, `location`, `segment_start`, `segment_end`, `duration_seconds` and `file_name`.
A query lists the prefixes of the hours that it touches, reads the sidecars there, and reports gaps of more than 5 s.

    footage = Footage(FOLDER)
    footage.windows("line1", start, end)      spans of footage within a time, one for each film, in order
    footage.gaps("line1", start, end)         what is missing of it

Times are seconds since 1970, UTC. This file imports nothing of the project.
"""
import datetime
import json
import re
from pathlib import Path

CAMERA = re.compile(r"[A-Za-z0-9_-]{1,128}")
NAME = re.compile(r"segment_(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)_([A-Za-z0-9_-]{1,128})\.(mp4|mkv)")
FIELDS = {"camera_id": str, "location": str, "segment_start": str, "segment_end": str, "duration_seconds": (int, float), "file_name": str}
# The longest segment of the capture service: one that began in the hour before may reach into this one.
LONGEST_SECONDS = 3600


class LayoutError(Exception):
    """A file is not as the layout says."""


class Segment:
    """A film and what its sidecar says of it."""

    def __init__(self, sidecar):
        self.sidecar = sidecar
        try:
            self.said = json.loads(sidecar.read_text(encoding="utf-8"))
        except ValueError as error:
            raise LayoutError(f"{sidecar} is no JSON: {error}") from None
        for name, kind in FIELDS.items():
            if not isinstance(self.said.get(name), kind) or isinstance(self.said.get(name), bool):
                raise LayoutError(f"{sidecar}: {name} is {self.said.get(name)!r}")
        self.camera, self.file_name, self.duration = (self.said[n] for n in ("camera_id", "file_name", "duration_seconds"))
        self.start, self.end = (seconds(self.said[n], sidecar) for n in ("segment_start", "segment_end"))
        self.film = sidecar.parent / self.file_name
        self.check()

    def check(self):
        name = NAME.fullmatch(self.file_name)
        if not name:
            raise LayoutError(f"{self.sidecar}: {self.file_name!r} is no name of a segment")
        if not self.film.is_file():
            raise LayoutError(f"{self.sidecar}: there is no {self.file_name} beside it")
        if self.film.stem != self.sidecar.stem and self.sidecar.stem != self.file_name:
            raise LayoutError(f"{self.sidecar} is the sidecar of {self.file_name}")
        if name[2] != self.camera:
            raise LayoutError(f"{self.sidecar}: the file's name is of camera {name[2]}, the sidecar of {self.camera}")
        if seconds(name[1], self.sidecar) != int(self.start):
            raise LayoutError(f"{self.sidecar}: segment_start {self.said['segment_start']} is not the time in the name")
        if not self.start < self.end <= self.start + LONGEST_SECONDS:
            raise LayoutError(f"{self.sidecar}: it ends at {self.said['segment_end']}, begins at {self.said['segment_start']}")
        if abs(self.end - self.start - self.duration) > 0.001:
            raise LayoutError(f"{self.sidecar}: {self.duration} s is not the time from start to end")
        if prefix(self.camera, self.start).parts != self.sidecar.parts[-6:-1]:
            raise LayoutError(f"{self.sidecar} is not in the folder of the hour of {self.said['segment_start']}")


class Footage:
    """The footage in a folder."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def segments(self, camera, start, end):
        """The segments of a camera that touch a time, in order. Only the folders of its hours are looked into."""
        if not CAMERA.fullmatch(camera):
            raise LayoutError(f"{camera!r} is no camera_id")
        found = []
        hour = start // 3600 * 3600 - LONGEST_SECONDS
        while hour < end:
            sidecars = (self.folder / prefix(camera, hour)).glob("segment_*.json")
            found += [s for s in map(Segment, sidecars) if s.start < end and s.end > start]
            hour += 3600
        return sorted(found, key=lambda segment: (segment.start, segment.end))

    def windows(self, camera, start, end):
        """What there is of a time: a (start, end) for each segment, cut to it."""
        return [(max(s.start, start), min(s.end, end)) for s in self.segments(camera, start, end)]

    def gaps(self, camera, start, end, longer_than=5.0):
        """What is missing of a time."""
        missing, reached = [], start
        for begin, finish in [*self.windows(camera, start, end), (end, end)]:
            if begin - reached > longer_than:
                missing.append((reached, begin))
            reached = max(reached, finish)
        return missing


def joined(windows, seam):
    """Spans in order, those that are no more than a seam apart made one."""
    spans = []
    for start, end in windows:
        if spans and start - spans[-1][1] <= seam:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def prefix(camera, when):
    """The folder of an hour."""
    hour = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
    return Path(camera, f"{hour:%Y}", f"{hour:%m}", f"{hour:%d}", f"{hour:%H}")


def seconds(text, sidecar):
    """A time as the layout writes it: ISO 8601, UTC, with a Z."""
    try:
        if not text.endswith("Z"):
            raise ValueError
        return datetime.datetime.fromisoformat(text[:-1] + "+00:00").timestamp()
    except ValueError:
        raise LayoutError(f"{sidecar}: {text!r} is no time") from None
