"""The systemd units: their exposure as systemd-analyze computes it, and what it does not ask."""
import os
import re
import shutil
import tempfile

from report import SERVICES, TOP, check, finish, run

# Of 10; where systemd begins to say "medium" is 5.
WORST = 2.5
source = os.path.join(TOP, "deploy/systemd")
with tempfile.TemporaryDirectory() as root:
    folder = os.path.join(root, "usr/lib/systemd/system")
    os.makedirs(folder)
    for name in os.listdir(source):
        if name.endswith((".service", ".target")):
            shutil.copy(os.path.join(source, name), folder)
        elif name.endswith(".service.d"):
            shutil.copytree(os.path.join(source, name), os.path.join(folder, name))
    for service in SERVICES:
        unit = f"sightglass-{service}.service"
        for variant in ("one host", "between hosts"):
            if variant == "between hosts":
                shutil.copytree(os.path.join(source, unit + ".d"), os.path.join(folder, unit + ".d"), dirs_exist_ok=True) if os.path.isdir(
                    os.path.join(source, unit + ".d")) else os.makedirs(os.path.join(folder, unit + ".d"), exist_ok=True)
                shutil.copy(os.path.join(source, "between-hosts.conf"), os.path.join(folder, unit + ".d"))
            done = run("systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager", unit)
            found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
            problems = [done.stderr or "no figure"] if not found else [f"exposure {found[1]}"] if float(found[1]) > WORST else []
            check(f"{unit}, {variant}: exposure {found[1] if found else '?'} of at most {WORST}", problems)
    # Whether systemd understands every line: unknown ones are warnings, so the text is looked at. Units of the machine are not there.
    for service in SERVICES:
        done = run("systemd-analyze", "verify", f"--root={root}", f"sightglass-{service}.service")
        bad = [line for line in done.stderr.splitlines() if re.search(r"Unknown|Failed to parse|Invalid|ignoring", line)]
        check(f"sightglass-{service}.service: systemd knows every line", bad)
    done = run("systemd-analyze", "verify", f"--root={root}", "sightglass.target")
    check("sightglass.target: systemd knows every line", [l for l in done.stderr.splitlines() if re.search(r"Unknown|parse|Invalid|ignoring", l)])
    target = open(os.path.join(source, "sightglass.target"), encoding="utf-8").read()
    check("sightglass.target starts all six", [s for s in SERVICES if f"sightglass-{s}.service" not in target])
    for kind, tool in (("sysusers", "systemd-sysusers"), ("tmpfiles", "systemd-tmpfiles")):
        path = os.path.join(source, f"sightglass.{kind}")
        if shutil.which(tool):
            place = tempfile.mkdtemp(dir=root)
            os.makedirs(os.path.join(place, "etc"))
            shutil.copy("/etc/passwd", os.path.join(place, "etc"))
            shutil.copy("/etc/group", os.path.join(place, "etc"))
            run("systemd-sysusers", f"--root={place}", os.path.join(source, "sightglass.sysusers"))
            done = run(tool, f"--root={place}", *(["--create"] if kind == "tmpfiles" else []), path)
            check(f"sightglass.{kind} is taken by {tool}", [done.stderr] if done.returncode else [])
        else:
            check(f"sightglass.{kind} is taken by {tool}", [f"{tool} is not installed here"])
finish()
