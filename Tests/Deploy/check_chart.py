"""The chart: helm's lint, its schema of values, the objects of the four value sets against Kubernetes' schemas and a security linter,
and what no schema says."""
import json
import os
import re
import tempfile

import jsonschema
import yaml

from report import CHART, HERE, SERVICES, SETS, TOP, check, component, finish, helm, pod_specs, rendered, run, tool, values_file

# The oldest that the chart says it runs on and a recent one.
KUBERNETES = ["1.27", "1.33"]
DIGEST = "sha256:" + "0" * 64
# Findings that are meant so: a command that ends has no probes.
MEANT = {("CKV_K8S_8", "PodTemplate"), ("CKV_K8S_9", "PodTemplate")}
# Values that must be refused, each one change away from a good set, and what the refusal has to name.
WRONG = [
    ("services.indexer.replicas=2", "replicas"), ("services.asset-registry.replicas=2", "replicas"),
    ("services.mqtt-edge-adapter.replicas=2", "replicas"), ("recording.mode=nfs", "mode"), ("recording.size=5", "size"),
    ("recording.mountPath=data", "mountPath"), ("archive.delivery=ftp", "delivery"), ("archive.blob.container=", "container"),
    ("mqtt.port=0", "port"), ("mqtt.authentication=token", "authentication"), ("mqtt.password.secret=", "secret"),
    ("mqtt.namespace=a/#", "namespace"), ("secrets[0].services[0]=everybody", "services"), ("secrets[0].folder=../etc", "folder"),
    ("image.digests.indexer=latest", "digests"), ("services.indexer.setings.a=b", "setings"), ("log.level=loud", "level"),
    ("archive.delivery=acsa", "storageAccountEndpoint"), ("akri.enabled=true", "metadataRef"), ("nonsense=1", "nonsense"),
    ("services.indexer.env[0].name=MY_PASSWORD,services.indexer.env[0].value=x", "env"),
]


def linter(path):
    done = run(tool("checkov"), "-f", path, "--framework", "kubernetes", "--compact", "--quiet", "--skip-download", "-o", "json")
    report = json.loads(done.stdout)
    return report["results"]["failed_checks"], report["summary"]["passed"]


def foreign_schemas():
    return json.load(open(os.path.join(HERE, "foreign-kinds.json"), encoding="utf-8"))


def kubernetes_problems(objects, folder, which):
    """What the schemas of Kubernetes say, unknown fields included; of the connector template its StatefulSet is looked at."""
    path, problems = os.path.join(folder, "objects.yaml"), []
    native = [o for o in objects if "." not in o["apiVersion"].split("/")[0] or o["apiVersion"].split("/")[0].endswith(".k8s.io")]
    for each in objects:
        if each["kind"] == "ConnectorTemplate":
            spec = each["spec"]["runtimeConfiguration"]["managedConfigurationSettings"]["statefulSetConfigurationSettings"]
            native.append({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "of-akri"}, "spec": spec})
    open(path, "w", encoding="utf-8").write(yaml.safe_dump_all(native))
    for version in KUBERNETES:
        done = run(tool("kubernetes-validate"), "-k", version, "--strict", path)
        text = done.stdout + done.stderr
        problems += [f"{version}: {line}" for line in text.splitlines() if re.search(r"ERROR|WARN|rror", line)]
        problems += [f"{version}: status {done.returncode}"] if done.returncode else []
    schemas = foreign_schemas()
    for each in objects:
        if each not in native:
            key = each["apiVersion"] + "/" + each["kind"]
            if key not in schemas:
                problems.append(f"no schema of {key} is here")
                continue
            problems += [f"{each['kind']} {each['metadata']['name']}: {e.message}" for e in jsonschema.Draft202012Validator(schemas[key]).iter_errors(each["spec"])]
    return problems


def own_rules(objects):
    """What a reviewer would ask, and no schema knows."""
    claims = {o["metadata"]["name"]: o for o in objects if o["kind"] == "PersistentVolumeClaim"}
    accounts = {o["metadata"]["name"] for o in objects if o["kind"] == "ServiceAccount"}
    budgets = [component(o["spec"]["selector"]["matchLabels"]) for o in objects if o["kind"] == "PodDisruptionBudget"]
    for name, kind, labels, spec in pod_specs(objects):
        container = spec["containers"][0]
        if spec.get("enableServiceLinks") is not False:
            yield f"{name}: variables of Services would be taken for settings"
        if spec["serviceAccountName"] not in accounts or spec.get("automountServiceAccountToken") is not False:
            yield f"{name}: its service account"
        for each in container.get("env", []):
            if "secretKeyRef" in str(each):
                yield f"{name}: a secret in its environment"
        for volume in spec["volumes"]:
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in claims and not claim.startswith("recording-"):
                yield f"{name}: no claim is called {claim}"
        if kind == "PodTemplate":
            continue
        if component(labels) not in budgets:
            yield f"{name}: no disruption budget"
        live = container["livenessProbe"]
        if "exec" in live or "sightglass" in str(live):
            yield f"{name}: liveness asks for more than life: a volume that is away would restart it"
        if container["readinessProbe"]["exec"]["command"][:3] != ["/usr/bin/sightglass", "health", component(labels)]:
            yield f"{name}: readiness"
        if spec["terminationGracePeriodSeconds"] < 18:
            yield f"{name}: it needs 17 s to end"
    for each in objects:
        if each["kind"] == "StatefulSet":
            states = [c for c in each["spec"].get("volumeClaimTemplates", []) if c["metadata"]["name"] == "state"]
            role = component(each["metadata"]["labels"])
            if bool(states) != (role in ("asset-registry", "indexer", "capture-controller")):
                yield f"{role}: a claim of its own for state"
            if states and states[0]["spec"]["accessModes"] != ["ReadWriteOnce"]:
                yield f"{role}: databases and spools lie on a volume that one pod has alone"
        if each["kind"] == "Secret":
            yield f"{each['metadata']['name']}: secrets come by reference only"


with tempfile.TemporaryDirectory() as folder:
    check("the chart's defaults name what a site must say, and no more", [] if re.search(
        r"container.*\n.*password/secret", helm("small", verb="lint").stderr + run(tool("helm"), "lint", CHART).stderr + run(tool("helm"), "lint", CHART).stdout, re.S) else ["helm lint"])
    for which in SETS:
        done = run(tool("helm"), "lint", "--strict", CHART, "-f", values_file(which))
        check(f"{which}: helm lint", [done.stdout + done.stderr] if done.returncode or re.search(r"\[(WARNING|ERROR)\]", done.stdout) else [])
        digests = [a for s in SERVICES + ["sightglass"] for a in ("--set", f"image.digests.{s}={DIGEST}")]
        objects = rendered(which, *digests)
        check(f"{which}: {len(objects)} objects are valid for Kubernetes {' and '.join(KUBERNETES)}", kubernetes_problems(objects, folder, which))
        # The pod inside of the connector template is looked at as what it is.
        shown = [o if o["kind"] != "ConnectorTemplate" else {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": o["metadata"],
            "spec": o["spec"]["runtimeConfiguration"]["managedConfigurationSettings"]["statefulSetConfigurationSettings"]} for o in objects]
        path = os.path.join(folder, f"{which}.yaml")
        open(path, "w", encoding="utf-8").write(yaml.safe_dump_all(shown))
        failed, passed = linter(path)
        check(f"{which}: the security linter finds nothing in {passed} checks", [
            f"{f['check_id']} {f['check_name']}: {f['resource']}" for f in failed if (f["check_id"], f["resource"].split(".")[0]) not in MEANT]
            + ([] if passed > 100 else ["it looked at next to nothing"]))
        check(f"{which}: rules of the house", list(own_rules(objects)))
        images = {c["image"] for _, _, _, spec in pod_specs(objects) for c in spec["containers"]}
        check(f"{which}: images by digest where one is given", [i for i in images if not i.endswith(DIGEST)])
    for change, named in WRONG:
        done = helm("small", "--set", change)
        check(f"refused with the value's name: {change}", [] if done.returncode and named in done.stderr else [done.stderr[-200:] or "it was taken"])
    # The linter and the schemas do see something: a pod as it must not be.
    bad = rendered("small")
    for each in bad:
        if each["kind"] == "StatefulSet":
            each["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"privileged": True}
            each["spec"]["template"]["spec"]["containers"][0]["prots"] = []
    check("an unknown field is seen", [] if any("prots" in p for p in kubernetes_problems(bad, folder, "bad")) else ["it was not"])
    path = os.path.join(folder, "bad.yaml")
    open(path, "w", encoding="utf-8").write(yaml.safe_dump_all(bad))
    check("a privileged pod is seen", [] if any(f["check_id"] == "CKV_K8S_16" for f in linter(path)[0]) else ["it was not"])
    template = os.path.join(folder, "template.json")
    json.dump(next(o for o in bad if o["kind"] == "PodTemplate"), open(template, "w", encoding="utf-8"))
    done = run(os.path.join(TOP, "deploy/helm/sightglass-in-cluster"), "-n", "site", "--print", "footage", "line1", "--start", "-1h",
               env={**os.environ, "TEMPLATE": template})
    open(path, "w", encoding="utf-8").write(done.stdout)
    valid = run(tool("kubernetes-validate"), "-k", KUBERNETES[-1], "--strict", path)
    check("the operator's pod is valid and has the command", [done.stderr + valid.stdout + valid.stderr] if valid.returncode or json.loads(
        done.stdout)["spec"]["containers"][0]["args"] != ["footage", "line1", "--start", "-1h"] else [])
    metadata = json.load(open(os.path.join(CHART, "files/connector-metadata.json"), encoding="utf-8"))
    stream = metadata["protocols"][0]["configSchemas"]["streamConfigSchema"]
    jsonschema.Draft202012Validator.check_schema(stream)
    text = open(os.path.join(TOP, "deploy/local/cameras.yaml"), encoding="utf-8").read()
    cameras = yaml.safe_load_all(re.sub(r"\b[A-Z0-9]+_PORT\b", "8554", text))
    streams = [json.loads(s["streamConfiguration"]) for d in cameras if d["kind"] == "Asset" for s in d["properties"]["streams"]]
    check(f"the connector's schema takes the demo's {len(streams)} streams", [
        e.message for s in streams for e in jsonschema.Draft202012Validator(stream).iter_errors(s)])
finish()
