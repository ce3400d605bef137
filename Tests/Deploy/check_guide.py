"""deploy/README.md has every value of the chart, and its table of arrows is the chart's."""
import os
import re

import yaml

from report import CHART, TOP, check, finish

guide = open(os.path.join(TOP, "deploy/README.md"), encoding="utf-8").read()
values = yaml.safe_load(open(os.path.join(CHART, "values.yaml"), encoding="utf-8"))
# Explained as one.
WHOLE = {"podSecurityContext", "containerSecurityContext", "networkPolicies", "resources", "secrets", "digests"}


def leaves(value, path):
    if isinstance(value, dict) and value and path[-1:] != [] and path[-1] not in WHOLE:
        for key, inner in value.items():
            yield from leaves(inner, path + [key])
    else:
        yield path


def explained(path):
    """A row that names the path: the whole, or its beginning in one pair of backquotes and its last part in another."""
    for row in re.findall(r"^\| (`.*?) \|", guide, re.M):
        names, found = re.findall(r"`([^`]+)`", row), []
        for name in names:
            found.append(name if "." in name or not found else ".".join(found[0].split(".")[:-1] + [name]).lstrip("."))
        if ".".join(path) in found:
            return True
    return False


missing = []
for section, value in values.items():
    if section == "services":
        for service, settings in value.items():
            missing += [".".join(p) for p in leaves(settings, ["services", "SERVICE"]) if not explained(p)]
    elif section == "networkPolicies":
        missing += [f"networkPolicies.{key}" for key in value if not explained(["networkPolicies", key])]
    else:
        missing += [".".join(p) for p in leaves(value, [section]) if not explained(p)]
check("deploy/README.md explains every value of the chart", sorted(set(missing)))
callers = yaml.safe_load(re.search(r'define "sightglass.callers" -}}\n(.*?){{', open(
    os.path.join(CHART, "templates/_names.tpl"), encoding="utf-8").read(), re.S)[1])
table = {row[0]: {c.strip() for c in row[1].split(",")} for row in re.findall(r"^\| ([a-z-]+) \| 70\d\d[^|]*\| ([^|]+) \|", guide, re.M)}
check("its table of arrows is the chart's", [f"{k}: {table.get(k)}" for k, v in callers.items() if table.get(k) != set(v)])
for path in sorted(set(re.findall(r"`?(deploy/[a-z/.-]+[a-z])`?", guide))):
    check(f"{path} is there", [] if os.path.exists(os.path.join(TOP, path)) else ["the guide names it"])
finish()
