"""A small kubelet for check_container.py: takes what the chart renders, makes each pod's volumes as the cluster would, and starts the
containers. Every pod has an address of loopback; names of Services and pods stand in a hosts file. Certificates come from
deploy/local/certificates, a Mosquitto from this machine."""
import atexit
import json
import os
import re
import secrets
import shutil
import subprocess
import time

import yaml

from pods import Box, ID
from report import SERVICES, TOP, check, component, rendered, run

DOMAIN = "site.svc.cluster.local"
ZEROS = "00000000-0000-0000-0000-000000000000"


class Broker:
    """Mosquitto: with a password on 1883, or by TLS and with a client's certificate on 8883."""

    def __init__(self, folder):
        self.folder, self.password, self.process = folder, secrets.token_hex(16), None
        os.makedirs(folder, exist_ok=True)

    def start(self, plain, certificate=None, key=None, authorities=None):
        users = f"{self.folder}/users"
        with open(users, "w", encoding="utf-8") as file:
            file.write(f"sightglass:{self.password}\n")
        subprocess.run(["mosquitto_passwd", "-U", users], check=True)
        lines = ["user root", "allow_anonymous false", "persistence false"]
        lines += ["listener 1883 0.0.0.0", f"password_file {users}"] if plain else [
            "listener 8883 0.0.0.0", f"certfile {certificate}", f"keyfile {key}", f"cafile {authorities}", "require_certificate true",
            "use_identity_as_username true"]
        with open(f"{self.folder}/mosquitto.conf", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        log = open(f"{self.folder}/log", "wb")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = subprocess.Popen([program, "-c", f"{self.folder}/mosquitto.conf"], stdout=log, stderr=log)
        # Whatever becomes of the checks.
        atexit.register(self.process.kill)
        time.sleep(0.5)

    def stop(self):
        self.process.terminate()
        self.process.wait(5)


class Cluster:
    """What the rendered objects refer to, as folders."""

    def __init__(self, objects, folder):
        self.folder = folder
        self.config_maps = {o["metadata"]["name"]: o["data"] for o in objects if o["kind"] == "ConfigMap"}
        self.secrets = {}

    def files(self, kind, name, data):
        place = f"{self.folder}/{kind}/{name}"
        os.makedirs(place, exist_ok=True)
        for key, value in data.items():
            path = f"{place}/{key}"
            with open(path, "w", encoding="utf-8") as file:
                file.write(value)
            # root's, and readable by the pod's group: fsGroup.
            os.chown(path, 0, ID)
            os.chmod(path, 0o440)
        return place

    def pick(self, data, items):
        return {i["path"]: data[i["key"]] for i in items} if items else data

    def volume(self, pod, volume, claim_names):
        name = volume["name"]
        if "emptyDir" in volume:
            return self.empty(f"{pod}/{name}")
        if "persistentVolumeClaim" in volume:
            return self.empty(f"claims/{volume['persistentVolumeClaim']['claimName']}")
        if "configMap" in volume:
            source = volume["configMap"]
            return self.files(pod, name, self.pick(self.config_maps[source["name"]], source.get("items")))
        if "secret" in volume:
            source = volume["secret"]
            return self.files(pod, name, self.pick(self.secrets[source["secretName"]], source.get("items")))
        joined = {}
        for source in volume["projected"]["sources"]:
            given = source["secret"]
            if given["name"] in self.secrets or not given.get("optional"):
                joined.update(self.pick(self.secrets[given["name"]], given.get("items")))
        return self.files(pod, name, joined)

    def empty(self, path):
        place = f"{self.folder}/{path}"
        os.makedirs(place, exist_ok=True)
        os.chown(place, 0, ID)
        os.chmod(place, 0o2770)
        return place


def expand(text, variables):
    return re.sub(r"\$\((\w+)\)", lambda m: variables.get(m[1], m[0]), text)


def box_of(cluster, images, pod, spec, labels, claims, hosts):
    """The box of a pod's one container, and its command."""
    container = spec["containers"][0]
    variables = {}
    for each in container.get("env", []):
        variables[each["name"]] = pod if "valueFrom" in each else expand(each["value"], variables)
    volumes = {v["name"]: cluster.volume(pod, v, claims) for v in spec["volumes"]}
    volumes.update({c: cluster.empty(f"claims/{c}-{pod}") for c in claims})
    mounts = []
    for each in container["volumeMounts"]:
        source = volumes[each["name"]]
        if "subPathExpr" in each:
            source = cluster.empty(os.path.relpath(source, cluster.folder) + "/" + expand(each["subPathExpr"], variables))
        mounts.append((source, each["mountPath"], each.get("readOnly", False)))
    if labels.get("azure.workload.identity/use") == "true":
        # What the webhook of workload identity adds to such a pod.
        token = cluster.files(pod, "azure-identity-token", {"azure-identity-token": "no-token"})
        mounts.append((token, "/var/run/secrets/azure/tokens", True))
        variables.update(AZURE_CLIENT_ID=ZEROS, AZURE_TENANT_ID=ZEROS, AZURE_AUTHORITY_HOST="https://login.microsoftonline.com/",
                         AZURE_FEDERATED_TOKEN_FILE="/var/run/secrets/azure/tokens/azure-identity-token")
    context = spec["securityContext"]
    image = container["image"].split("/")[-1].split(":")[0]
    return Box(os.path.join(images, image), mounts, variables, hosts, context["runAsUser"], context["runAsGroup"]), [
        f"/usr/bin/{image}"] + container["args"]


def certificates(folder, names):
    """By role: what the chart expects in its secret."""
    made = {}
    for role, hosts in names.items():
        subprocess.run([f"{TOP}/deploy/local/certificates", f"{folder}/pki", "issue", role] + hosts, check=True, capture_output=True)
        read = lambda path: open(f"{folder}/pki/{path}", encoding="utf-8").read()
        made[role] = {"tls.crt": read(f"issued/{role}.pem"), "tls.key": read(f"issued/{role}.key"), "ca.crt": read(f"authorities/{role}.pem")}
    return made


def runner(which, images, site_class):
    def work(folder):
        objects = rendered(which)
        cluster = Cluster(objects, folder)
        sets = [o for o in objects if o["kind"] == "StatefulSet"]
        pods = {}
        for each in sets:
            # One of each worker is enough here; every controller is there, because others call it by name.
            count = each["spec"].get("replicas", 1) if component(each["metadata"]["labels"]) == "capture-controller" else 1
            for number in range(count):
                pods[f"{each['metadata']['name']}-{number}"] = each
        controllers = [p for p, s in pods.items() if component(s["metadata"]["labels"]) == "capture-controller"]
        broker_name = yaml.safe_load(cluster.config_maps["sightglass-settings"]["mqtt-edge-adapter.yaml"])["broker-host"]
        lines = ["127.0.0.1 localhost " + broker_name] + [f"127.0.0.1 sightglass-{s}.{DOMAIN}" for s in SERVICES if s != "capture-controller"]
        # The name of a Service without an address of its own leads to its pods; here to the first.
        lines.append(f"127.0.1.1 sightglass-capture-controller.{DOMAIN}")
        lines += [f"127.0.1.{n + 1} {p}.sightglass-capture-controller.{DOMAIN}" for n, p in enumerate(controllers)]
        hosts = f"{folder}/hosts"
        open(hosts, "w", encoding="utf-8").write("\n".join(lines) + "\n")
        names = {s: [f"sightglass-{s}.{DOMAIN}"] for s in SERVICES + ["operator"]}
        names["capture-controller"] += [f"{p}.sightglass-capture-controller.{DOMAIN}" for p in controllers]
        for role, data in certificates(folder, names).items():
            cluster.secrets[f"sightglass-{role}-tls"] = data
        broker = Broker(f"{folder}/mosquitto")
        cluster.secrets.update({n: {"key": "bm9uZQ=="} for n in ("cameras", "storage", "media-server")})
        cluster.secrets["mosquitto"] = {"password": broker.password}
        cluster.config_maps["cameras"] = {}
        if which == "cluster":
            # Two more certificates of some authority: the broker's and the adapter's for it.
            run(f"{TOP}/deploy/local/certificates", f"{folder}/mqtt-pki", "issue", "operator-broker", broker_name)
            run(f"{TOP}/deploy/local/certificates", f"{folder}/mqtt-pki", "issue", "operator-adapter", "sightglass")
            read = lambda path: open(f"{folder}/mqtt-pki/{path}", encoding="utf-8").read()
            cluster.secrets["sightglass-mqtt"] = {"tls.crt": read("issued/operator-adapter.pem"), "tls.key": read("issued/operator-adapter.key")}
            cluster.config_maps["broker-authorities"] = {"ca.crt": read("authorities/operator.pem")}
            place = f"{folder}/mqtt-pki"
            broker.start(False, f"{place}/issued/operator-broker.pem", f"{place}/issued/operator-broker.key", f"{place}/authorities/operator.pem")
        else:
            broker.start(True)
        site = site_class(which, folder)
        boxes = {}
        for pod, each in pods.items():
            spec = each["spec"]["template"]["spec"]
            claims = [c["metadata"]["name"] for c in each["spec"].get("volumeClaimTemplates", [])]
            boxes[pod] = (*box_of(cluster, images, pod, spec, each["spec"]["template"]["metadata"]["labels"], claims, hosts), spec)
            site.start(pod, boxes[pod][0], boxes[pod][1])
        adopt(which, cluster, boxes)
        for pod, (_, _, spec) in boxes.items():
            site.ready(pod, spec["containers"][0]["readinessProbe"]["exec"]["command"])
        template = next(o for o in objects if o["kind"] == "PodTemplate")["template"]["spec"]
        made, command = box_of(cluster, images, "operator", template, {}, [], hosts)
        status, text = made.run([command[0], "status", "--json"])
        state = {s["role"]: (s.get("health") or {}).get("ready") for s in json.loads(text)["services"]} if text.startswith("{") else {}
        check(f"{which}: the operator's pod sees all six ready, by TLS",
              [f"{s} is {state.get(s)}: {text[:200]}" for s in SERVICES if state.get(s) is not True])
        status, text = made.run([command[0], "cameras"])
        check(f"{which}: the operator's pod asks the catalogue", [] if status == 0 else [f"{status}: {text}"])
        warnings = [f"{p}: {l}" for p in pods for l in open(f"{folder}/logs/{p}.log", encoding="utf-8") if re.search(r"is not a setting|unknown|unexpected", l)]
        check(f"{which}: no service wonders about a variable or a key", warnings)
        site.end()
        broker.stop()

    return work


def adopt(which, cluster, boxes):
    """As the chart's notes say: in the pods that have the volumes."""
    for pod, (box, _, spec) in boxes.items():
        role = spec["containers"][0]["name"]
        settings = yaml.safe_load(cluster.config_maps["sightglass-settings"][role + ".yaml"])
        for key, kind in (("recording-volume", "recording"), ("archive-volume", "archive")):
            if key in settings and not (kind == "archive" and role != "archiver"):
                status, text = box.run(["/usr/bin/sightglass", "volume", "adopt", settings[key], "--role", kind])
                check(f"{which}: {pod} adopts its {kind} volume", [] if status == 0 else [text])
