"""rclone, a client of another house."""
import os
import subprocess
import uuid

from endpoint import ACCOUNT, ENDPOINT, KEY, RCLONE, WORK, check

environment = dict(os.environ, RCLONE_CONFIG=os.path.join(WORK, "rclone.conf"), RCLONE_CONFIG_AZ_TYPE="azureblob",
                   RCLONE_CONFIG_AZ_ACCOUNT=ACCOUNT, RCLONE_CONFIG_AZ_KEY=KEY, RCLONE_CONFIG_AZ_ENDPOINT=ENDPOINT)
source = os.path.join(WORK, "source")
os.makedirs(os.path.join(source, "cam2", "sub"))
for path, size in [("cam2/a b.mp4", 100_000), ("cam2/sub/large.mp4", 9_000_000), ("cam2/empty", 0)]:
    with open(os.path.join(source, path), "wb") as file:
        file.write(os.urandom(size))


def rclone(*arguments):
    done = subprocess.run([RCLONE, *arguments], env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(" ".join(line for line in done.stderr.splitlines() if line.strip("-"))[-200:] or "failed")
    return done.stdout


other = "sightglass-" + uuid.uuid4().hex[:12]
check("rclone: copy in", lambda: rclone("copy", "--azureblob-chunk-size", "4Mi", source, f"az:{other}/in") and None)
check("rclone: check by MD5 and size", lambda: rclone("check", source, f"az:{other}/in") and None)
check("rclone: check by reading", lambda: rclone("check", "--download", source, f"az:{other}/in") and None)
check("rclone: list", lambda: sorted(rclone("lsf", "-R", "--files-only", f"az:{other}").split("\n"))[1:] == [
    "in/cam2/a b.mp4", "in/cam2/empty", "in/cam2/sub/large.mp4"])
check("rclone: copy out", lambda: (rclone("copy", f"az:{other}/in", os.path.join(WORK, "returned")), subprocess.run(
    ["diff", "-r", source, os.path.join(WORK, "returned")], check=True) and None)[1])
check("rclone: sync away", lambda: (rclone("delete", f"az:{other}/in/cam2/sub"),
                                    rclone("lsf", "-R", "--files-only", f"az:{other}").count("\n") == 2)[1])
check("rclone: purge", lambda: rclone("purge", f"az:{other}") and None)
