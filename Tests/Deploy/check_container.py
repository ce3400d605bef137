"""The roots that runtime-stage made, as images: what is in them and what is not; and each service started out of them, not root and on
a read-only root, by the compose file and by two value sets of the chart, with volumes, secrets, certificates and a broker as a site
has them. What answers is the readiness probe or health check itself.

usage: check_container.py IMAGES      (as root)"""
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import time

import yaml

import site_of_chart
from pods import Box, ID, confinement_problems, end, isolate
from report import SERVICES, TOP, check, finish, run, tool

images = os.path.abspath(sys.argv[1])
ALL = SERVICES + ["sightglass"]


def files(root):
    for place, _, names in os.walk(root):
        for name in names:
            yield os.path.join(place, name)


def contents():
    # Who links these must be who the architecture says: C code that reads what a camera or the cloud sends.
    only = {"libavcodec": {"capture-controller"}, "libmosquitto": {"mqtt-edge-adapter"}, "libsqlite3": {"asset-registry", "indexer", "capture-controller"}}
    for name in ALL:
        root = os.path.join(images, name)
        listed = {f[len(root):]: os.lstat(f) for f in files(root)}
        programs = {p for p in listed if p.startswith("/usr/bin/")}
        wanted = {f"/usr/bin/{p}" for p in {name, "sightglass"} | ({"media-worker"} if name == "capture-controller" else set())}
        check(f"{name}: its programs and no other", sorted(programs ^ wanted))
        strange = [p for p in listed if re.search(r"/(sh|bash|dash|busybox|apt|dpkg|perl|python3?)$", p)]
        check(f"{name}: no shell, no interpreter, no package manager", strange)
        check(f"{name}: nothing gives privileges", [p for p, s in listed.items() if s.st_mode & (stat.S_ISUID | stat.S_ISGID)])
        owned = [p for p, s in listed.items() if s.st_uid == ID and not p.startswith(("/var/lib/sightglass", "/run/sightglass"))]
        writable = [p for p, s in listed.items() if stat.S_ISREG(s.st_mode) and s.st_mode & 0o022]
        check(f"{name}: nothing in it belongs to the service or can be written", owned + writable)
        for library, where in only.items():
            has = any(library in p for p in listed)
            check(f"{name}: {library} is {'there' if name in where else 'not there'}", [] if has == (name in where) else ["it is the other way round"])
        # Every library is one that some program of the image needs.
        needed = set()
        for program in wanted:
            status, text = Box(root, [], {}).run(["/lib64/ld-linux-x86-64.so.2" if os.path.exists(root + "/lib64/ld-linux-x86-64.so.2")
                                                  else "/lib/ld-linux-aarch64.so.1", "--list", program])
            needed |= {os.path.basename(l) for l in re.findall(r"(\S+) \(0x", text)}
            check(f"{name}: {os.path.basename(program)} finds its libraries", [text] if status or "not found" in text else [])
        libraries = {os.path.basename(p) for p in listed if re.search(r"\.so(\.|$)", p)}
        check(f"{name}: no library that nothing links", sorted(libraries - needed))
        bill = os.path.join(images, f"{name}.spdx.json")
        done = run(tool("pyspdxtools"), "-i", bill)
        check(f"{name}: its SBOM is valid SPDX", [done.stdout + done.stderr] if done.returncode else [])
        packages = json.load(open(bill, encoding="utf-8"))["packages"]
        kinds = {p["SPDXID"].split("-")[1] for p in packages}
        check(f"{name}: its SBOM has Debian's packages, Swift's, and the licences are there", [k for k in ("Debian", "Swift", "Toolchain", "Image") if k not in kinds] + [
            p["name"] for p in packages if "-Debian-" in p["SPDXID"] and not os.path.exists(f"{root}/usr/share/doc/{p['name']}/copyright")])
        size = sum(s.st_size for s in listed.values()) / 1048576
        print(f"        {name}: {size:.1f} MiB, {len(libraries)} libraries, {len(packages)} packages", flush=True)


class Site:
    """Processes of boxes, with a log each."""

    def __init__(self, name, folder):
        self.name, self.folder, self.processes = name, folder, {}
        os.makedirs(f"{folder}/logs", exist_ok=True)

    def start(self, name, box, command):
        log = open(f"{self.folder}/logs/{name}.log", "wb")
        self.processes[name] = (box.start(command, log), box)

    def log(self, name):
        return open(f"{self.folder}/logs/{name}.log", encoding="utf-8", errors="replace").read()[-700:]

    def ready(self, name, probe, seconds=30):
        until = time.monotonic() + seconds
        while True:
            process, box = self.processes[name]
            status, text = box.run(probe, 10)
            if status == 0 or time.monotonic() > until or process.poll() is not None:
                break
            time.sleep(0.3)
        check(f"{self.name}: {name} is ready, not root, on a read-only root",
              ([] if status == 0 else [f"probe {status}: {text[:300]} log: {self.log(name)}"])
              + (confinement_problems(process.pid) if process.poll() is None else ["it has ended"]))

    def end(self):
        for name, (process, _) in self.processes.items():
            status, took = end(process)
            check(f"{self.name}: {name} ends in time", [] if status == 0 and took < 5 else [f"{status} after {took:.1f} s: {self.log(name)}"])


def owned(path):
    os.makedirs(path, exist_ok=True)
    os.chown(path, ID, ID)
    return path


def by_compose(folder):
    """The compose file, with a Mosquitto at the name that it says."""
    compose = yaml.safe_load(open(os.path.join(TOP, "deploy/compose/compose.yaml"), encoding="utf-8"))["services"]
    site = Site("compose", folder)
    hosts = f"{folder}/hosts"
    open(hosts, "w", encoding="utf-8").write("127.0.0.1 localhost mosquitto\n")
    secrets = f"{folder}/secrets"
    for part in ("cameras", "storage", "broker"):
        os.makedirs(f"{secrets}/{part}")
    broker = site_of_chart.Broker(f"{folder}/mosquitto")
    open(f"{secrets}/broker/password", "w", encoding="utf-8").write(broker.password)
    broker.start(plain=True)

    def box(name):
        mounts = []
        for text in compose[name]["volumes"]:
            source, target, *mode = text.split(":")
            if source.startswith("./secrets"):
                source = secrets + source[len("./secrets"):]
            elif source.startswith("./"):
                source = os.path.join(TOP, "deploy/compose", source[2:])
            else:
                source = owned(f"{folder}/volumes/{source}")
            mounts.append((source, target, mode == ["ro"]))
        if not os.path.isdir(f"{folder}/tmp-{name}"):
            owned(f"{folder}/tmp-{name}")
        image = re.sub(r"^\$\{PREFIX[^}]*\}/|:.*$", "", compose[name]["image"])
        uid, gid = map(int, compose[name]["user"].split(":"))
        return Box(os.path.join(images, image), mounts + [(f"{folder}/tmp-{name}", "/tmp", False)], {}, hosts, uid, gid), image

    for name in ("adopt-recording", "adopt-archive"):
        made, image = box(name)
        status, text = made.run([f"/usr/bin/{image}"] + compose[name]["command"])
        check(f"compose: {name}", [] if status == 0 else [text])
    for name in SERVICES:
        made, image = box(name)
        site.start(name, made, [f"/usr/bin/{image}"] + compose[name]["command"])
    for name in SERVICES:
        site.ready(name, compose[name]["healthcheck"]["test"][1:])
    made, image = box("sightglass")
    status, text = made.run(["/usr/bin/sightglass", "status", "--json"])
    state = {s["role"]: (s.get("health") or {}).get("ready") for s in json.loads(text)["services"]} if text.startswith("{") else {}
    check("compose: the operator sees all six ready", [f"{s} is {state.get(s)}" for s in SERVICES if state.get(s) is not True])
    status, text = Box(os.path.join(images, "capture-controller"), [], {}).run(["/usr/bin/media-worker"])
    check("media-worker starts, and says whose child it is", [] if status == 64 and "capture-controller" in text else [f"{status}: {text}"])
    site.end()
    broker.stop()


if os.geteuid() != 0:
    check("the container part", ["it needs root: chroot and mounts"])
    finish()
contents()
isolate()
for name, work in [("compose", by_compose)] + [(w, site_of_chart.runner(w, images, Site)) for w in ("small", "cluster")]:
    place = tempfile.mkdtemp(prefix="sightglass-deploy-")
    os.chmod(place, 0o755)
    try:
        work(place)
    except Exception as error:  # what went wrong here must not hide the rest
        check(f"{name} came to its end", [repr(error)])
    finally:
        subprocess.run(["rm", "-rf", place], check=False)
finish()
