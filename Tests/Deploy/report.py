"""How the checks of this folder tell what they found, and what several of them need: rendered manifests, help of the executables."""
import functools
import os
import re
import subprocess
import sys

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CHART = os.path.join(TOP, "deploy", "helm", "sightglass")
SETS = ["small", "cluster", "aio", "disconnected"]
SERVICES = ["asset-registry", "indexer", "capture-controller", "archiver", "cloud-uploader", "mqtt-edge-adapter"]
failures = 0


def crashed(kind, error, trace):
    """1 says that checks failed; a check that itself breaks must not look like that."""
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(70)


sys.excepthook = crashed


def check(name, problems):
    """A line "passed  NAME" or "FAILED  NAME: why"; `problems` is a list, empty for a pass."""
    global failures
    problems = [str(problem) for problem in problems]
    if problems:
        failures += 1
        print(f"FAILED  {name}: " + "; ".join(problems[:8]).replace("\n", " ")[:900], flush=True)
    else:
        print(f"passed  {name}", flush=True)


def finish():
    sys.exit(1 if failures else 0)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def tool(name):
    """A program that Tests/Deploy/tools brought."""
    return os.path.join(os.environ["DEPLOY_TOOLS"], "bin", name)


def binary(name):
    return os.path.join(os.environ.get("SIGHTGLASS_BIN", os.path.join(TOP, ".build", "debug")), name)


def values_file(which):
    return os.path.join(TOP, "deploy", "helm", f"values-{which}.yaml")


def helm(which, *more, verb="template"):
    return run(tool("helm"), verb, "sightglass", CHART, "-n", "site", "-f", values_file(which), *more)


def rendered(which, *more):
    """The objects of a value set."""
    done = helm(which, *more)
    if done.returncode:
        raise SystemExit(f"helm template {which}: {done.stderr}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pod_specs(objects):
    """(name, kind, labels, spec) of everything that becomes a pod; of the connector template the StatefulSet inside."""
    for each in objects:
        kind, name = each["kind"], each["metadata"]["name"]
        if kind == "PodTemplate":
            yield name, kind, each["template"]["metadata"]["labels"], each["template"]["spec"]
        elif kind in ("StatefulSet", "Deployment", "DaemonSet", "Job"):
            template = each["spec"]["template"]
            yield name, kind, template["metadata"]["labels"], template["spec"]
        elif kind == "ConnectorTemplate":
            settings = each["spec"]["runtimeConfiguration"]["managedConfigurationSettings"]
            template = settings["statefulSetConfigurationSettings"]["template"]
            yield name, kind, template["metadata"]["labels"], template["spec"]


def component(labels):
    return labels["app.kubernetes.io/component"]


class Help:
    """The settings of a service, as its --help lists them: key, and what is allowed."""

    def __init__(self, service):
        text = run(binary(service), "--help").stdout
        self.allowed = {}
        for block in re.split(r"\n(?=  --)", text):
            found = re.match(r"  --([a-z0-9-]+)\n", block)
            if found:
                words = " ".join(block.split())
                allowed = re.search(r"allowed: (.*?) why:", words)
                self.allowed[found[1]] = (allowed[1] if allowed else "", "required;" in words)

    def complaints(self, key, value):
        """What is wrong with a setting, by its help."""
        if key not in self.allowed:
            return [f"no setting is called {key}"]
        allowed = self.allowed[key][0]
        texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in (value if isinstance(value, list) else [value])]
        if isinstance(value, list) and not allowed.startswith("a list"):
            return [f"{key} is no list"]
        words = re.match(r"one of (.*)$", allowed)
        if words and texts[0] not in re.split(r", ", words[1]):
            return [f"{key}: {texts[0]} is not {allowed}"]
        numbers = re.match(r"(\d+) to (\d+)", allowed)
        if numbers and not (texts[0].isdigit() and int(numbers[1]) <= int(texts[0]) <= int(numbers[2])):
            return [f"{key}: {texts[0]} is not {allowed}"]
        return []


def variable(key):
    return "SIGHTGLASS_" + key.upper().replace("-", "_")


@functools.lru_cache(maxsize=None)
def page_of(*verbs):
    return run(binary("sightglass"), *verbs, "--help").stdout


def command_line_problems(words):
    """Whether `sightglass` knows a command and its options: asks --help of the longest run of words that are commands."""
    verbs = []
    for word in words:
        _, _, commands = page_of(*verbs).partition("SUBCOMMANDS:")
        if word.startswith("-") or not re.search(rf"^  {re.escape(word)}\b", commands, re.M):
            break
        verbs.append(word)
    page = page_of(*verbs)
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    problems = [f"sightglass {' '.join(verbs)} has no option {o}" for o in options if not re.search(rf"(^|[\s\[]){o}\b", page)]
    return problems or ([] if verbs else [f"sightglass has no command {words[0]}"])
