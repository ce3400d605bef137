"""The network policies against the contract. Which service may call which stands in proto/sightglass/v1: the line "// Callers:"
above each `service`; those of Health may call every one. Each pair of pods and each port is put to the rendered policies, as the
cluster's network would: allowed is what the caller's egress and the called one's ingress both allow."""
import glob
import os
import re

from report import SETS, TOP, check, component, finish, pod_specs, rendered

# Which executable answers a service of the contract: the table of proto/README.md.
ANSWERED_BY = {name: role for name, role in re.findall(
    r"^\| `\w+\.proto` \| `(\w+)`[^|]*\| ([a-z-]+) \|$", open(os.path.join(TOP, "proto/README.md"), encoding="utf-8").read(), re.M)}


def contract():
    """{role: set of roles that may call it}, and the callers of Health."""
    callers = {}
    for path in glob.glob(os.path.join(TOP, "proto/sightglass/v1/*.proto")):
        text = open(path, encoding="utf-8").read()
        for names, service in re.findall(r"// Callers: ([a-z, -]+)\nservice (\w+)", text):
            callers[service] = {n.strip() for n in names.split(",")}
    return {ANSWERED_BY[s]: c for s, c in callers.items() if s in ANSWERED_BY}, callers["Health"]


def matches(selector, labels):
    assert not set(selector) - {"matchLabels"}, "only matchLabels are understood here"
    return all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())


def peer_allows(peer, labels, namespace):
    if "ipBlock" in peer:
        # Where pods' addresses are nobody knows here; so a block may hold every pod.
        return True
    spaces = peer.get("namespaceSelector")
    if spaces is not None and not matches(spaces, {"kubernetes.io/metadata.name": namespace}):
        return False
    if spaces is None and namespace != "site":
        return False
    return matches(peer.get("podSelector", {}), labels)


def side_allows(policies, direction, own, other, port, other_namespace="site"):
    """Whether the policies that select a pod let a connection through on its side. Without any policy everything is."""
    selecting = [p["spec"] for p in policies if matches(p["spec"]["podSelector"], own) and direction in p["spec"]["policyTypes"]]
    if not selecting:
        return True
    key = "from" if direction == "Ingress" else "to"
    for spec in selecting:
        for rule in spec.get(direction.lower(), []) or []:
            ports = rule.get("ports")
            if ports and port not in [(p["port"], p.get("protocol", "TCP")) for p in ports]:
                continue
            peers = rule.get(key)
            if not peers or any(peer_allows(p, other, other_namespace) for p in peers):
                return True
    return False


declared, health = contract()
check("the contract names callers of each service that answers one", [] if len(declared) == 5 and health else [declared, health])
STRANGER = {"app.kubernetes.io/name": "somebody-else"}

for which in SETS:
    objects = rendered(which)
    policies = [o for o in objects if o["kind"] == "NetworkPolicy"]
    pods = {component(labels): labels for _, _, labels, _ in pod_specs(objects)}
    ports = {component(o["spec"]["selector"]): [p["port"] for p in o["spec"]["ports"]] for o in objects if o["kind"] == "Service"}
    wrong = []
    for called in ports:
        expected = declared.get(called, set()) | health
        for caller, labels in list(pods.items()) + [("a stranger", STRANGER)]:
            if caller == called:
                continue
            for port in ports[called]:
                allowed = side_allows(policies, "Egress", labels, pods[called], (port, "TCP")) and side_allows(
                    policies, "Ingress", pods[called], labels, (port, "TCP"))
                if allowed != (caller in expected):
                    wrong.append(f"{caller} -> {called}:{port} is {'allowed' if allowed else 'refused'}")
    check(f"{which}: between services just the arrows of the contract ({len(pods)} kinds of pods)", wrong)
    check(f"{which}: a policy selects every pod, both ways", [
        name for name, labels in pods.items()
        if not any(matches(p["spec"]["podSelector"], labels) and set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"} for p in policies)])
    check(f"{which}: nobody from another namespace gets in", [
        f"{name}:{port}" for name, labels in pods.items() for port in ports.get(name, [])
        if side_allows(policies, "Ingress", labels, labels, (port, "TCP"), "elsewhere")])
    # The three that the architecture gives a way out, and nobody else; DNS for all.
    outside = {"capture-controller", "mqtt-edge-adapter", "cloud-uploader"}
    with_way = set()
    for name, labels in pods.items():
        for policy in policies:
            if not matches(policy["spec"]["podSelector"], labels):
                continue
            for rule in policy["spec"]["egress"]:
                inside = all("podSelector" in p and component(p["podSelector"].get("matchLabels", {"app.kubernetes.io/component": "?"}))
                             in pods for p in rule["to"] if "app.kubernetes.io/component" in p.get("podSelector", {}).get("matchLabels", {}))
                known = [p for p in rule["to"] if "app.kubernetes.io/component" in p.get("podSelector", {}).get("matchLabels", {})]
                if {p["port"] for p in rule["ports"]} == {53}:
                    continue
                if len(known) != len(rule["to"]) or not inside:
                    with_way.add(name)
                    shared = {p["port"] for p in rule["ports"]} & {p for all_ports in ports.values() for p in all_ports}
                    check(f"{which}: the way out of {name} uses no port of ours", sorted(shared))
    if which in ("aio", "disconnected"):
        outside.discard("cloud-uploader")
    check(f"{which}: only {', '.join(sorted(outside))} reach the world", sorted(with_way ^ outside))
finish()
