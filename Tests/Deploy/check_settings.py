"""Every setting, variable, argument and path that chart, compose file and units give to an executable exists there: asked of the
real executables' --help. A key that nobody knows would end a service at its start with exit status 64."""
import glob
import os
import re

import yaml

from report import SERVICES, SETS, TOP, Help, check, command_line_problems, finish, pod_specs, rendered, run, tool, values_file, variable

helps = {service: Help(service) for service in SERVICES}
# Beside those of settings: what the command line reads by itself, and Kubernetes' own.
CLI_VARIABLES = {variable(s) for s in SERVICES} | {variable(k) for k in ("tls-authorities", "tls-certificate", "tls-key", "run-directory")}


def settings_problems(service, text):
    settings = yaml.safe_load(text) or {}
    return [p for key, value in settings.items() for p in helps[service].complaints(key, value)]


def missing(service, keys):
    return [f"{key} is required and not given" for key, (_, required) in helps[service].allowed.items() if required and key not in keys]


def argument_problems(service, words):
    problems, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        key, _, value = word[2:].partition("=")
        if not word.startswith("--"):
            problems.append(f"{word} is no setting")
            continue
        value = value or (rest.pop(0) if rest and not rest[0].startswith("--") else "true")
        problems += helps[service].complaints(key, value)
    return problems


def mounted(spec, path):
    """Whether a path lies in what a container mounts."""
    return any(path == m["mountPath"] or path.startswith(m["mountPath"] + "/") for m in spec["containers"][0]["volumeMounts"])


check("each service's help can be read", [s for s in SERVICES if len(helps[s].allowed) < 12])

for which in SETS:
    objects = rendered(which)
    data = next(o["data"] for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"].endswith("-settings"))
    for name, text in data.items():
        service = name[:-5]
        check(f"{which}: settings of {service} are the executable's", settings_problems(service, text) + missing(service, yaml.safe_load(text)))
    for name, kind, labels, spec in pod_specs(objects):
        container = spec["containers"][0]
        service, problems = container["name"], []
        variables = [e["name"] for e in container.get("env", []) if e["name"].startswith("SIGHTGLASS_")]
        if service == "sightglass":
            problems += [f"unknown variable {v}" for v in variables if v not in CLI_VARIABLES]
            problems += command_line_problems(container["args"])
        else:
            problems += argument_problems(service, container["args"])
            problems += [f"unknown variable {v}" for v in variables if v not in map(variable, helps[service].allowed)]
            probe = container["readinessProbe"]["exec"]["command"]
            problems += [] if probe[0] == "/usr/bin/sightglass" else ["the probe calls " + probe[0]]
            problems += command_line_problems(probe[1:])
            given = yaml.safe_load(data[service + ".yaml"])
            # Files and folders of settings lie in what is mounted; a secret's reference below the folder of secrets.
            for key, value in given.items():
                for text in value if isinstance(value, list) else [value]:
                    text = str(text)
                    path = text if text.startswith("/") else re.sub(r"^ipc://", "", text) if text.startswith("ipc://") else None
                    if key.endswith("-file") and not text.startswith("/"):
                        path = "/etc/sightglass/secrets/" + text
                    if path and not mounted(spec, path):
                        problems.append(f"{key}: nothing is mounted at {path}")
        check(f"{which}: arguments, variables, probes and paths of {name} ({kind})", problems)
    notes = run(tool("helm"), "install", "sightglass", os.path.join(TOP, "deploy/helm/sightglass"), "-n", "site", "-f", values_file(which), "--dry-run=client")
    commands = re.findall(r"-- /usr/bin/sightglass (.*)", notes.stdout)
    check(f"{which}: commands of the notes are the command line's",
          [p for c in commands for p in command_line_problems(c.split())] + ([] if len(commands) >= 2 else ["no commands: " + notes.stderr[-300:]]))

compose = yaml.safe_load(open(os.path.join(TOP, "deploy/compose/compose.yaml"), encoding="utf-8"))
for name, service in compose["services"].items():
    if name in SERVICES:
        problems = argument_problems(name, service["command"]) + command_line_problems(service["healthcheck"]["test"][2:])
        check(f"compose: arguments and health check of {name}", problems)
    elif name != "mosquitto":
        check(f"compose: command of {name}", command_line_problems(service["command"]))
for folder in ("compose/config", "systemd/settings"):
    for path in sorted(glob.glob(os.path.join(TOP, "deploy", folder, "*.yaml"))):
        service, text = os.path.basename(path)[:-5], open(path, encoding="utf-8").read()
        check(f"{folder}: settings of {service}", settings_problems(service, text) + missing(service, yaml.safe_load(text)))
for service in SERVICES:
    text = open(os.path.join(TOP, "deploy/systemd", f"sightglass-{service}.service"), encoding="utf-8").read()
    words = re.search(r"^ExecStart=(.*)$", text, re.M)[1].split()
    check(f"systemd: command of {service}", argument_problems(service, words[1:]) + ([] if words[0] == "/usr/bin/" + service else [words[0]]))
finish()
