"""The contract as protoc describes it. For the scripts beside it and for Tests/Support/contract."""
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2


def described(folder):
    """The files sightglass/v1/*.proto below a folder, with their comments. Exits with protoc's words where it refuses them."""
    files = sorted(str(path.relative_to(folder)) for path in Path(folder).glob("sightglass/v1/*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        command = ["protoc", "-I", ".", f"--descriptor_set_out={out.name}", "--include_imports", "--include_source_info"]
        done = subprocess.run([*command, *files], cwd=folder, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(done.stderr.rstrip())
        return descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())


def own(files):
    """Those files of a set that are the contract, not what they import."""
    return [file for file in files.file if file.package.startswith("sightglass.")]
