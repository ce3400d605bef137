"""Runs a container's process without a container engine: the image's root read-only, the volumes mounted where the manifest says,
user and group that it says, no capability, no new privileges, a /proc and a small /dev. A process of the calling one, which has to be
root in a mount and network name space of its own (`isolate`)."""
import ctypes
import os
import signal
import subprocess
import tempfile
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
ID = 10001


def system(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source, target, kind=None, flags=0, data=None):
    encode = lambda text: text.encode() if text else None
    system(LIBC.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data)), f"mount {target}")


def isolate():
    """This process and its children: mounts of their own, and a network of loopback alone."""
    system(LIBC.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Box:
    """Where a container's processes run: `mounts` are (source, target, is read-only)."""

    def __init__(self, root, mounts, environment, hosts=None, uid=ID, gid=ID):
        self.root, self.mounts, self.environment, self.uid, self.gid = root, sorted(mounts, key=lambda m: m[1]), environment, uid, gid
        # What a container engine puts there: a mount point for each volume, and these two files.
        if hosts:
            self.mounts.append((hosts, "/etc/hosts", True))
        for source, target, _ in self.mounts:
            place = root + target
            if os.path.isdir(source):
                os.makedirs(place, exist_ok=True)
            elif not os.path.exists(place):
                open(place, "w", encoding="utf-8").close()

    def _enter(self):
        system(LIBC.unshare(CLONE_NEWNS), "unshare")
        mount(self.root, self.root, None, MS_BIND | MS_REC)
        mount("proc", self.root + "/proc", "proc")
        mount("tmpfs", self.root + "/dev", "tmpfs", 0, "mode=755,size=64k")
        for device in ("null", "zero", "full", "random", "urandom"):
            open(f"{self.root}/dev/{device}", "w", encoding="utf-8").close()
            mount(f"/dev/{device}", f"{self.root}/dev/{device}", None, MS_BIND)
        for source, target, read_only in self.mounts:
            mount(source, self.root + target, None, MS_BIND)
            if read_only:
                mount(None, self.root + target, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
        mount(None, self.root, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID)
        os.chroot(self.root)
        os.chdir("/")
        for capability in range(41):
            LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.setgroups([self.gid])
        os.setgid(self.gid)
        os.setuid(self.uid)
        os.umask(0o022)

    def start(self, command, log):
        # The program is looked for after preexec, below the new root; subprocess closes every descriptor but its own three.
        return subprocess.Popen(
            command, executable=command[0], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            preexec_fn=self._enter, start_new_session=True)

    def run(self, command, seconds=30):
        """Exit status and output."""
        with tempfile.TemporaryFile() as log:
            process = self.start(command, log)
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                status = f"no end within {seconds} s"
            log.seek(0)
            return status, log.read().decode(errors="replace")


def confinement_problems(pid):
    """What the kernel says of a running process, against what it must be."""
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status", encoding="utf-8").read().splitlines())
    values = {key: status[key].split() for key in ("Uid", "Gid", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs")}
    problems = [f"{key} is {values[key]}" for key in ("Uid", "Gid") if set(values[key]) != {str(ID)}]
    problems += [f"{key} is {values[key][0]}" for key in ("CapEff", "CapPrm", "CapBnd") if int(values[key][0], 16)]
    problems += [] if values["NoNewPrivs"] == ["1"] else ["may get new privileges"]
    root = [line.split() for line in open(f"/proc/{pid}/mountinfo", encoding="utf-8") if line.split()[4] == "/"]
    problems += [] if root and all("ro" in line[5].split(",") for line in root) else ["its root can be written"]
    return problems


def end(process, seconds=10):
    """SIGTERM; the exit status, and how long it took."""
    began = time.monotonic()
    if process.poll() is not None:
        return f"ended before, with {process.returncode},", 0.0
    os.kill(process.pid, signal.SIGTERM)
    try:
        return process.wait(seconds), time.monotonic() - began
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "killed", seconds
