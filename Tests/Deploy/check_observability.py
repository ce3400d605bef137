"""Alerts and dashboard: every number that they ask for is counted somewhere in the code, every command that they name exists."""
import json
import os
import re

import yaml

from report import SERVICES, TOP, check, command_line_problems, finish, run

folder = os.path.join(TOP, "deploy/observability")
source = run("git", "-C", TOP, "grep", "-hE", 'sightglass_|counter\\("|_total"', "--", "Services", "Shared/ServiceKit", "Shared/Claims").stdout
known = set(re.findall(r'"(sightglass_[a-z_]+)"', source))
known |= {f"sightglass_controller_{name}_total" for name in re.findall(r'counter\("([a-z_]+)"\)', source)}
# What is timed is shown as a count and a sum.
known |= {name + end for name in list(known) if name.endswith("_seconds") for end in ("_count", "_sum")}


def unknown(expression):
    return [f"nothing counts {name}" for name in re.findall(r"\bsightglass_[a-z_]+", expression) if name not in known]


check("the code counts something", [] if len(known) > 40 else [f"found {len(known)} names"])

rules = [rule for group in yaml.safe_load(open(os.path.join(folder, "alerts.yaml"), encoding="utf-8"))["groups"] for rule in group["rules"]]
names = [rule["alert"] for rule in rules]
check("alerts have names of their own", sorted({name for name in names if names.count(name) > 1}))
for rule in rules:
    problems = unknown(rule["expr"])
    notes = rule.get("annotations", {})
    problems += [f"no {key}" for key in ("summary", "action") if not notes.get(key)]
    if rule.get("labels", {}).get("severity") not in ("warning", "critical"):
        problems.append("its severity is neither warning nor critical")
    if rule["expr"].count("(") != rule["expr"].count(")"):
        problems.append("brackets")
    for command in re.findall(r"sightglass ([a-z]+(?: [a-z-]+)?)", notes.get("action", "")):
        problems += command_line_problems(command.split()[:1])
    check(f"alert {rule['alert']}", problems)

board = json.load(open(os.path.join(folder, "dashboard.json"), encoding="utf-8"))
ids = [panel["id"] for panel in board["panels"]]
check("panels have numbers of their own", [] if len(set(ids)) == len(ids) else ["twice"])
for panel in board["panels"]:
    check(f"panel {panel['title']}", [problem for target in panel["targets"] for problem in unknown(target["expr"])])

scrape = yaml.safe_load(open(os.path.join(folder, "prometheus.yaml"), encoding="utf-8"))["scrape_configs"][0]
targets = [target for each in scrape["static_configs"] for target in each["targets"]]
check("every service is scraped", [] if len(targets) == len(SERVICES) else [f"{len(targets)} of {len(SERVICES)}"])
finish()
