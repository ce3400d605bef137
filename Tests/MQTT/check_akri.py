"""The adapter as a connector under Akri: a simulated Device Registry and mounts as kubelet writes them (Tests/Support/mqtt) bring
devices and assets, change them and take them away; credentials of a camera and the broker's token are replaced. All with one
process of each service, and without a picture lost. Started by `run`.

    check_akri.py SITE BIN
"""
import json
import os
import subprocess
import sys
import time

from broker import Broker
from client import Invoker
from harness import ADAPTER, TOP, Site, check_all, expect, finish, until

sys.path.insert(0, str(TOP / "Tests/Support/mqtt"))
from adr_service import AdrService  # noqa: E402
from akri_mounts import AkriMounts  # noqa: E402

CONNECTOR = "media-connector-0"
# Both names hold an underscore: the name of the mounted file alone does not say where one ends.
DEVICE, ENDPOINT, ASSET = "akri_cam", "in_1", "akri-line"
FILE = f"{DEVICE}_{ENDPOINT}"
TOPIC = "site/akri/pictures"
site, broker = Site(sys.argv[1], sys.argv[2]), Broker(sys.argv[1])
# The controller reads credentials from the mount, as it would in a cluster.
mounts = AkriMounts(site.folder / "akri")
PORTS = dict(line.split("=") for line in (site.folder / "site.env").read_text().split())
LOGIN = (site.folder / "secrets/camera.login").read_text().strip().split(":")


def device(enabled=True):
    return {"enabled": enabled, "uuid": "11111111-2222-3333-4444-555555555555", "endpoints": {"inbound": {ENDPOINT: {
        "endpointType": "Microsoft.Media", "address": f"rtsp://127.0.0.1:{PORTS['LINE1_PORT']}/cam0", "version": "1.0",
        "authentication": {"method": "UsernamePassword", "usernamePasswordCredentials": {
            "usernameSecretName": "akri-cam/user", "passwordSecretName": "akri-cam/pass"}}}}}}


def asset(*streams):
    return {"enabled": True, "displayName": "Akri line", "uuid": "66666666-7777-8888-9999-000000000000", "deviceRef": {"deviceName": DEVICE, "endpointName": ENDPOINT},
            "streams": [{"name": name, "streamConfiguration": json.dumps(configuration), "destinations": [
                {"target": "Mqtt", "configuration": {"topic": TOPIC, "qos": "Qos1", "retain": "Never", "ttl": 30}}]}
                for name, configuration in streams]}


GOOD = ("pictures", {"taskType": "snapshot-to-mqtt", "autostart": True, "format": "jpeg", "snapshotsPerSecond": 4, "frame": "exact"})
SLOWER = ("pictures", {**GOOD[1], "snapshotsPerSecond": 2})
BAD = ("wrong", {"taskType": "clip-to-fs", "autostart": True, "duration": 0})
MENDED = ("wrong", {"taskType": "clip-to-fs", "autostart": False, "duration": 5})


def credentials(password):
    mounts.credentials({"akri-cam/user": LOGIN[0], "akri-cam/pass": password, "camera/username": LOGIN[0], "camera/password": password})


def token(number):
    """One that the adapter is given. The broker's log shows its first eight characters."""
    return f"token-0{number}-canary-token"


def tokens(*lines):
    """The broker's file of tokens, each with the seconds for which it is good."""
    new = site.folder / "mqtt/tokens.new"
    new.write_text("".join(f"{token} {int((time.time() + seconds) * 1000)}\n" for token, seconds in lines))
    new.rename(site.folder / "mqtt/tokens")


def uses(token):
    """How many connections the broker has let in by a token."""
    log = site.folder / "mqtt/decisions"
    lines = log.read_text().splitlines() if log.exists() else []
    return sum(" accepted " in line and line.endswith(f" {token[:8]}") for line in lines)


def prepare():
    """A broker that asks for tokens, mounts, and the adapter started with nothing but the variables of a connector."""
    plugin = subprocess.run(["bash", TOP / "Tests/Support/mqtt/build"], check=True, capture_output=True, text=True).stdout.strip()
    conf = site.folder / "config/mosquitto.conf"
    conf.write_text(conf.read_text() + f"plugin {plugin}\nplugin_opt_tokens {site.folder}/mqtt/tokens\n"
                    f"plugin_opt_log {site.folder}/mqtt/decisions\n")
    access = site.folder / "mqtt/access"
    access.write_text(access.read_text() + f"\nuser sat\ntopic readwrite #\n\nuser operator\ntopic read {TOPIC}\ntopic readwrite akri/#\n"
                      f"topic readwrite clients/#\n")
    tokens((token(0), 3600))
    mounts.configuration("localhost", broker.port, tls=True, keep_alive_s=10)
    mounts.trust_bundle({"ca.crt": broker.authority.read_text()})
    mounts.broker_token(token(0))
    credentials(LOGIN[1])
    mounts.endpoints({})
    for name in (ADAPTER, "capture-controller", "broker"):
        site.control("stop", name)
    settings = site.folder / "config/capture-controller.yaml"
    folder = mounts.environment(CONNECTOR, "x")["DEVICE_ENDPOINT_CREDENTIALS_MOUNT_PATH"]
    settings.write_text("\n".join(
        f"secrets-directory: {folder}" if line.startswith("secrets-directory:") else line for line in settings.read_text().splitlines()) + "\n")
    adapter = site.folder / f"config/{ADAPTER}.yaml"
    adapter.write_text(f"run-directory: {site.folder}/run\n")
    os.environ.update(mounts.environment(CONNECTOR, "azure-iot-operations"))
    for name in ("broker", "capture-controller", ADAPTER):
        site.control("start", name)
    site.until_ready(ADAPTER)


class Pictures:
    """The pictures on the topic, by run and number."""

    def __init__(self, invoker):
        self.invoker = invoker
        invoker.subscribe(TOPIC)

    def since(self, mark):
        return [(m.properties["run"], int(m.properties["sequence"])) for m in self.invoker.since(mark, lambda m: m.topic == TOPIC)]

    def more(self, count, seconds=20):
        """Waits for so many more."""
        mark = self.invoker.mark()
        until(f"{count} pictures came", seconds, lambda: len(self.since(mark)) >= count)

    def expect_whole(self, mark):
        """No number is missing between the first and the last one of a run."""
        runs = {}
        for run, number in self.since(mark):
            runs.setdefault(run, []).append(number)
        expect(runs, "no picture came")
        for run, numbers in runs.items():
            missing = sorted(set(range(min(numbers), max(numbers) + 1)) - set(numbers))
            expect(not missing, f"of run {run} these numbers are missing: {missing[:20]} of {min(numbers)} to {max(numbers)}")


def streams_of(status):
    return {s["name"]: s.get("error") for s in status["status"]["streams"]}


def checks(adr, invoker):
    pictures = Pictures(invoker)
    where, of_asset = (CONNECTOR, DEVICE, ENDPOINT), (CONNECTOR, DEVICE, ENDPOINT, ASSET)
    pids = {name: site.pid(name) for name in (ADAPTER, "capture-controller", "asset-registry")}

    def told(version):
        history = adr.asset_status.get(of_asset, [])
        return next((s for s in reversed(history) if s["version"] == version), None)

    def a_mounted_endpoint_brings_its_device_and_asset():
        adr.put_device(DEVICE, device())
        adr.put_asset(ASSET, asset(GOOD, BAD))
        mounts.endpoints({FILE: [ASSET]})
        until("the device's status is told", 20, lambda: adr.device_status.get(where))
        status = adr.device_status[where][-1]
        expect(status["version"] == 1 and "error" not in status["status"]["config"], status)
        until("the asset's status is told", 20, lambda: told(1))
        errors = streams_of(told(1))
        expect(errors["pictures"] is None and "duration" in errors["wrong"]["message"], errors)
        # The other stream runs all the same.
        pictures.more(8)

    def pictures_carry_the_registrys_ids():
        mark = invoker.mark()
        pictures.more(1)
        properties = invoker.since(mark, lambda m: m.topic == TOPIC)[0].properties
        expect(properties.get("aiodeviceref") == f"ms-aio:{device()['uuid']}/{ENDPOINT}", properties)
        expect(properties.get("aioassetref") == f"ms-aio:{asset()['uuid']}", properties)

    def health_is_told_of_endpoint_and_stream():
        until("all is available", 30, lambda: any(h["status"] == "Available" and h.get("stream") is None for h in adr.health)
              and any(h["status"] == "Available" and h.get("stream") == "pictures" for h in adr.health))

    def a_changed_asset_is_taken_without_losing_the_camera():
        before = site.call("capture-controller", "CaptureController/ListStatus", asset=ASSET).sources
        run = {s.run_id for s in before if s.source.device == DEVICE}
        version = adr.put_asset(ASSET, asset(SLOWER, MENDED))
        until("the new version is in force", 20, lambda: told(version))
        expect(all(error is None for error in streams_of(told(version)).values()), told(version))
        pictures.more(4)
        after = site.call("capture-controller", "CaptureController/ListStatus", asset=ASSET).sources
        expect({s.run_id for s in after if s.source.device == DEVICE} == run and run, f"the camera's session was not kept: {run}, {after}")
        until("health is of the new version", 30, lambda: any(h["version"] == version and h.get("stream") == "pictures" for h in adr.health))

    def the_brokers_token_is_replaced_and_no_picture_is_lost():
        mark = invoker.mark()
        for number in range(1, 4):
            # The old one ends a few seconds after the new one is there.
            tokens((token(number - 1), 3), (token(number), 60 if number < 3 else 3600))
            mounts.broker_token(token(number))
            until(f"all sessions go on with token {number}", 20, lambda: uses(token(number)) >= 3)
            pictures.more(4)
        pictures.expect_whole(mark)

    def the_cameras_password_is_replaced():
        password = "canary-another-" + os.urandom(6).hex()
        credentials(password)
        login = site.folder / "secrets/camera.login"
        login.write_text(f"{LOGIN[0]}:{password}\n")
        site.control("stop", "camera-line1")
        site.control("start", "camera-line1")
        pictures.more(4, 40)
        until("the endpoint is available again", 30, lambda: [h for h in adr.health if h.get("stream") is None][-1]["status"] == "Available")

    def an_update_that_the_registry_cannot_have_is_tried_again():
        for form in ("status", "payload"):
            adr.error_form = form
            adr.fail("updateAssetStatus", "InternalError", times=1)
            version = adr.put_asset(ASSET, asset(GOOD, MENDED))
            until(f"version {version} is told in the end", 40, lambda: told(version))

    def an_asset_that_is_not_mounted_any_more_is_gone():
        mounts.endpoints({FILE: []})
        until("the registry has no such asset", 20, lambda: not [
            s for s in site.call("asset-registry", "AssetRegistry/GetConfiguration").streams if s.name.asset == ASSET])
        mounts.endpoints({FILE: [ASSET]})
        pictures.more(4)

    def what_went_while_the_adapter_was_away_is_gone_after_its_start():
        site.control("stop", ADAPTER)
        mounts.endpoints({})
        site.control("start", ADAPTER)
        site.until_ready(ADAPTER)
        until("device and asset are gone", 20, lambda: not [
            d for d in site.call("asset-registry", "AssetRegistry/GetDocuments").documents if d.name in (DEVICE, ASSET)])
        others = [d.name for d in site.call("asset-registry", "AssetRegistry/GetDocuments").documents]
        expect("line1" in others, f"documents of other origin are gone too: {others}")

    def nothing_was_restarted_and_no_rule_of_mrpc_was_broken():
        now = {name: site.pid(name) for name in pids if name != ADAPTER}
        expect(now == {name: pid for name, pid in pids.items() if name != ADAPTER}, f"{pids} became {now}")
        expect(adr.violations == [], adr.violations[:10])

    def the_adapter_is_still_the_first_one():
        expect(site.pid(ADAPTER) == pids[ADAPTER] and site.is_running(ADAPTER), "the adapter was restarted")

    check_all("akri", [
        a_mounted_endpoint_brings_its_device_and_asset, pictures_carry_the_registrys_ids, health_is_told_of_endpoint_and_stream,
        a_changed_asset_is_taken_without_losing_the_camera, the_brokers_token_is_replaced_and_no_picture_is_lost,
        the_cameras_password_is_replaced, an_update_that_the_registry_cannot_have_is_tried_again,
        an_asset_that_is_not_mounted_any_more_is_gone, the_adapter_is_still_the_first_one,
        what_went_while_the_adapter_was_away_is_gone_after_its_start, nothing_was_restarted_and_no_rule_of_mrpc_was_broken])


def main():
    prepare()
    with AdrService(broker.host, broker.port, username="operator", password=broker.password("operator"), ca=str(broker.authority)) as adr, \
            Invoker(broker, "operator") as invoker:
        checks(adr, invoker)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
