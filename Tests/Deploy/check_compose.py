"""The compose file and the Containerfile: read by compose itself and by linters, and held against each other and the chart."""
import os
import re

import yaml

from report import SERVICES, TOP, check, finish, rendered, run, tool

folder = os.path.join(TOP, "deploy/compose")
path = os.path.join(folder, "compose.yaml")
done = run("docker-compose", "-f", path, "config", "-q")
check("compose takes the file", [done.stderr] if done.returncode else [])
done = run("docker-compose", "-f", path, "--profile", "operator", "--profile", "broker", "config")
check("compose takes the file with every profile", [done.stderr] if done.returncode else [])
services = yaml.safe_load(open(path, encoding="utf-8"))["services"]
check("the six services are there", [s for s in SERVICES if s not in services])
for name, service in services.items():
    problems = []
    if not service.get("read_only"):
        problems.append("its root can be written")
    if service.get("cap_drop") != ["ALL"] or service.get("security_opt") != ["no-new-privileges:true"]:
        problems.append("it keeps privileges")
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", str(service.get("user", ""))):
        problems.append("it is root")
    if service.get("privileged") or service.get("ports") or "/var/run/docker.sock" in str(service.get("volumes")):
        problems.append("it opens the host")
    if name in SERVICES and not ("healthcheck" in service and "mem_limit" in service):
        problems.append("no health check or no bound of memory")
    check(f"{name}: not root, read-only, no privilege, nothing of the host", problems)
# Who has a network at all: as the architecture says. The three networks have one service of ours each.
networked = {n: s.get("networks") for n, s in services.items() if s.get("network_mode") != "none"}
check("only three services and the broker have a network, each its own", [] if networked == {
    "capture-controller": ["cameras"], "cloud-uploader": ["cloud"], "mqtt-edge-adapter": ["broker"], "mosquitto": ["broker"]} else [networked])
check("only its owner writes a state, only the controller the recording volume", [
    f"{volume}: {writers}" for volume, expected in {
        "registry": ["asset-registry"], "catalogue": ["indexer"], "spool": ["capture-controller"],
        "recording": ["adopt-recording", "capture-controller"], "archive": ["adopt-archive", "archiver", "cloud-uploader"]}.items()
    for writers in [sorted(n for n, s in services.items() for v in s["volumes"] if v.split(":")[0] == volume and not v.endswith(":ro"))]
    if writers != expected])

containerfile = os.path.join(TOP, "deploy/container/Containerfile")
done = run(tool("hadolint"), containerfile)
check("hadolint finds nothing in the Containerfile", [done.stdout] if done.returncode else [])
text = open(containerfile, encoding="utf-8").read()
targets = re.findall(r"^FROM scratch AS (\S+)$", text, re.M)
check("the Containerfile makes an image of each service and of the command line", sorted(set(targets) ^ set(SERVICES + ["sightglass"])))
for name in targets:
    part = text.split(f"FROM scratch AS {name}\n")[1].split("\nFROM")[0]
    check(f"image {name}: its own files, not root, no shell", [] if part.strip().splitlines() == [
        f"COPY --from=build /images/{name}/ /",
        f"COPY --from=build --chown=10001:10001 /images/{name}/var/lib/sightglass /var/lib/sightglass",
        "USER 10001:10001", f'ENTRYPOINT ["/usr/bin/{name}"]'] else [part])
code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
check("the Containerfile names no processor and no registry", re.findall(r"x86|amd64|arm64|aarch64|\S+\.(?:io|com|net)/\S+", code))
check("the stages are the scripts that the test runs", [s for s in ("install-build-packages", "build-stage", "runtime-stage") if f"deploy/container/{s}" not in code])
ignored = [l.strip() for l in open(containerfile + ".dockerignore", encoding="utf-8") if l[0] != "#"]
package = open(os.path.join(TOP, "Package.swift"), encoding="utf-8").read()
check("the build has every folder that Package.swift names without suites", [
    p for p in re.findall(r'path: "(Tests/[^"\\]+)"', package) for i in ignored if p == i or p.startswith(i + "/")])
chart = {o["metadata"]["name"] for o in rendered("small") if o["kind"] == "Service"}
check("compose and chart have the same services", sorted({f"sightglass-{s}" for s in SERVICES} ^ chart))
finish()
