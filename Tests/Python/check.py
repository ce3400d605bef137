"""Checks that the client of this folder works against a running site, over ipc and over TLS, and that over TLS nobody is let
in, or believed, who is not what the contract says. Started by `run`; one line per check, then "N passed, N failed".

    check.py SITE BIN       SITE: folder of a site that deploy/local/site has brought up; BIN: folder of the executables
"""
import hashlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pynng
from sightglass import CallError, Client, Contract, Hints, Identity, options

SITE, BIN = Path(sys.argv[1]), Path(sys.argv[2])
HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
CONTRACT = Contract(TOP / "proto")
CALLED = ["asset-registry", "capture-controller", "indexer", "mqtt-edge-adapter"]
SERVICES = CALLED + ["archiver", "cloud-uploader"]
CAMERA, STREAM = "line1", "clips"
# Long enough that the ring must have been asked for it, short enough to be there soon.
FOOTAGE_SECONDS = 4
results = {"passed": 0, "failed": 0}


def check(function):
    """Runs a check and counts it; what it raises is why it failed."""
    name = function.__name__.replace("_", " ")
    try:
        function()
        results["passed"] += 1
        print(f"passed  {name}", flush=True)
    except Exception as error:
        results["failed"] += 1
        print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def refusal(call):
    """The CallError that a call must end with."""
    try:
        reply = call()
    except CallError as error:
        return error
    raise AssertionError(f"it was answered: {reply}")


def until(what, seconds, probe):
    end = time.monotonic() + seconds
    while not (value := probe()):
        expect(time.monotonic() < end, f"waited {seconds} s in vain until {what}")
        time.sleep(0.1)
    return value


class Way:
    """How the site is reached: addresses by role, and who we are."""

    def __init__(self, requests, hints, identity=None):
        self.requests, self.hints, self.identity = requests, hints, identity

    def client(self, role, identity=None, address=None):
        return Client(CONTRACT, role, address or self.requests[role], "operator/check.py", identity or self.identity)

    def call(self, role, method, *arguments, **fields):
        client = self.client(role)
        try:
            return client.call(method, *arguments, **fields)
        finally:
            client.close()

    def ring_is_full(self):
        """Whether the controller has kept the camera's last seconds."""
        for source in self.call("capture-controller", "CaptureController/ListStatus", asset=CAMERA).sources:
            if source.ring_from_us and source.last_packet_us - source.ring_from_us > FOOTAGE_SECONDS * 1_000_000:
                return True
        return False

    def footage(self):
        """Runs footage.py as an operator would, and looks at what it delivered."""
        until("the ring is full", 40, self.ring_is_full)
        command = [sys.executable, HERE / "footage.py", CAMERA, str(FOOTAGE_SECONDS), "--indexer", self.requests["indexer"],
                   "--indexer-hints", self.hints["indexer"], "--asset-registry", self.requests["asset-registry"]]
        if self.identity:
            command += ["--authorities", self.identity.authorities, "--certificate", self.identity.certificate, "--key", self.identity.key]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=180)
        expect(ran.returncode == 0, f"exit status {ran.returncode}: {ran.stdout}{ran.stderr}")
        files = [line.split()[1:] for line in ran.stdout.splitlines() if line.startswith("file ")]
        films = [f for f in files if f[0].endswith(".mp4")]
        expect(films, f"no film was delivered: {ran.stdout}")
        for path, size, sha256 in films:
            archived = (SITE / "archive" / path).read_bytes()
            expect((len(archived), hashlib.sha256(archived).hexdigest()) == (int(size), sha256), f"{path} is not what the reply says")


def check_calls(way, name):
    """What must hold over every transport; `name` goes into the names of the checks."""
    def every_service_is_ready_and_reaches_its_neighbours():
        for role in SERVICES:
            def is_well():
                reply = way.call(role, "Health/Check", seconds=20)
                return reply.service.startswith(role) and reply.ready and all(n.reachable for n in reply.neighbours)
            until(f"{role} is well", 20, is_well)

    def the_program_lists_cameras_asks_for_footage_and_follows_it_to_its_end():
        way.footage()

    def errors_come_with_their_code():
        gone = refusal(lambda: way.call("indexer", "Indexer/GetRequest", request_id="none"))
        expect(gone.code == "NOT_FOUND", gone)
        wrong = refusal(lambda: way.call("indexer", "Indexer/SubmitArchive", request_id="no window"))
        expect(wrong.code == "INVALID_ARGUMENT" and wrong.field, wrong)
        elsewhere = refusal(lambda: way.call("indexer", "AssetRegistry/ListLeases"))
        expect(elsewhere.code == "UNIMPLEMENTED", elsewhere)

    def the_server_works_no_longer_than_remaining_ms():
        # A worker that would wait 20 s for work, and half a second for an answer.
        began = time.monotonic()
        reply = way.call("indexer", "Indexer/ClaimItems", work="WORK_ARCHIVE", worker="check", kinds=["ITEM_KIND_CLIP"], wait_ms=20_000,
                         seconds=0.5)
        expect(not reply.items and time.monotonic() - began < 5, f"answered after {time.monotonic() - began} s: {reply}")

    def an_idempotency_key_gives_the_stored_answer():
        stream = CONTRACT.message("StreamName", asset=CAMERA, stream=STREAM)
        def start(key):
            return way.call("asset-registry", "AssetRegistry/SetDesiredState", stream=stream, running=True, started_by="check",
                            idempotency_key=key)
        key = f"check-{time.time_ns()}"
        first = start(key)
        expect(start(key) == first and first.changed, "the same key was not given the same answer")
        expect(not start(key + "-other").changed, "another key was taken for the same")
        way.call("asset-registry", "AssetRegistry/SetDesiredState", stream=stream, running=False, started_by="check")

    def a_hint_names_what_changed():
        hints = Hints(CONTRACT, "asset-registry", way.hints["asset-registry"], way.identity)
        stream = CONTRACT.message("StreamName", asset=CAMERA, stream=STREAM)
        before = way.call("asset-registry", "AssetRegistry/Changes", limit=1).newest
        try:
            until("the subscriber is connected", 10, hints.connected.is_set)
            for running in (True, False):
                way.call("asset-registry", "AssetRegistry/SetDesiredState", stream=stream, running=running, started_by="check")
                heard, end = [], time.monotonic() + 10
                while not heard and time.monotonic() < end:
                    hint, _ = hints.next(1)
                    heard = [hint] if hint and hint.topic == "configuration/" and hint.cursor > before else []
                expect(heard, "no hint came")
                changes = way.call("asset-registry", "AssetRegistry/Changes", after=before).changes
                expect(any(c.name == f"{CAMERA}/{STREAM}" for c in changes), f"Changes does not say it: {changes}")
                before = heard[0].cursor
        finally:
            hints.close()

    for function in [every_service_is_ready_and_reaches_its_neighbours, the_program_lists_cameras_asks_for_footage_and_follows_it_to_its_end,
                     errors_come_with_their_code, the_server_works_no_longer_than_remaining_ms, an_idempotency_key_gives_the_stored_answer,
                     a_hint_names_what_changed]:
        function.__name__ = f"{name}: {function.__name__}"
        check(function)


# --- Between hosts ------------------------------------------------------------------------------------------------------


def site(*arguments):
    subprocess.run(["bash", TOP / "deploy/local/site", *arguments], env={**os.environ, "SITE": str(SITE), "BIN": str(BIN)}, check=True, timeout=60)


def certificates(folder, *arguments):
    return subprocess.run(["bash", TOP / "deploy/local/certificates", folder, *arguments], capture_output=True, text=True, timeout=60)


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def between_hosts(folder):
    """Starts the six services again as if each had a host of its own: nothing but tls+tcp, no volume shared but that of the
    uploader, each with the certificate of its role."""
    ports = free_ports(2 * len(SERVICES))
    requests = {role: f"tls+tcp://localhost:{ports[i]}" for i, role in enumerate(SERVICES)}
    hints = {role: f"tls+tcp://localhost:{ports[len(SERVICES) + i]}" for i, role in enumerate(SERVICES)}
    for role in SERVICES:
        file = SITE / "config" / f"{role}.yaml"
        # The archiver reads by ReadSegment from the controller then.
        kept = [line for line in file.read_text().splitlines() if not line.startswith("recording-volumes:")]
        neighbours = [f"{other}: [{requests[other]}]\n{other}-hints: [{hints[other]}]" for other in CALLED if other != role]
        file.write_text("\n".join(kept + neighbours + [
            f"listen: [{requests[role]}]", f"hints: [{hints[role]}]", f"tls-authorities: {folder}/authorities",
            f"tls-certificate: {folder}/issued/{role}.pem", f"tls-key: {folder}/issued/{role}.key"]) + "\n")
        site("stop", role)
    for role in SERVICES:
        site("start", role)
    return Way(requests, hints, identity(folder, "operator"))


def identity(folder, role):
    return Identity(folder / "authorities", folder / f"issued/{role}.pem", folder / f"issued/{role}.key")


def dial(address, **settings):
    """One attempt to connect: None, or the name of pynng's exception when it is refused."""
    with pynng.Req0(**settings) as caller:
        try:
            caller.dial(address, block=True)
        except pynng.NNGException as error:
            return type(error).__name__
    return None


def check_refusals(way, folder):
    indexer, registry = way.requests["indexer"], way.requests["asset-registry"]

    def tls_a_role_that_the_contract_does_not_name_is_refused():
        for address, role, wrong in [(indexer, "indexer", "asset-registry"), (registry, "asset-registry", "archiver"),
                                     (way.requests["mqtt-edge-adapter"], "mqtt-edge-adapter", "indexer")]:
            expect(dial(address, **options(role, address, identity(folder, wrong))), f"{wrong} got in at {role}")
            expect(dial(address, **options(role, address, way.identity)) is None, f"operator is not let in at {role}")
        client = way.client("indexer", identity(folder, "asset-registry"))
        refused = refusal(lambda: client.call("Indexer/ListCameras", seconds=1))
        client.close()
        expect(refused.code == "UNAVAILABLE", refused)

    def tls_without_a_certificate_nobody_is_let_in():
        authority = (folder / "authorities/indexer.pem").read_text()
        anonymous = pynng.TLSConfig(pynng.TLSConfig.MODE_CLIENT, server_name="localhost", ca_string=authority,
                                    auth_mode=pynng.TLSConfig.AUTH_MODE_REQUIRED)
        expect(dial(indexer, tls_config=anonymous), "it got in")

    def tls_a_server_of_another_role_is_not_believed():
        # The registry is alive and lets an operator in; only that it is not the indexer is wrong.
        expect(dial(registry, **options("asset-registry", registry, way.identity)) is None, "the registry does not answer")
        expect(dial(registry, **options("indexer", registry, way.identity)), "the registry passed for the indexer")
        client = way.client("indexer", address=registry)
        refused = refusal(lambda: client.call("Health/Check", seconds=1))
        client.close()
        expect(refused.code == "UNAVAILABLE", refused)

    def tls_a_service_does_not_believe_an_impostor_either():
        # An indexer with the controller's certificate: the archiver, which calls it, says that it is not there.
        file = SITE / "config/indexer.yaml"
        right = file.read_text()
        site("stop", "indexer")
        file.write_text(right.replace(f"{folder}/issued/indexer.", f"{folder}/issued/capture-controller."))
        site("start", "indexer")
        impostor = way.client("capture-controller", address=indexer)
        def indexer_is_reachable():
            return next(n.reachable for n in way.call("archiver", "Health/Check").neighbours if n.role == "indexer")
        try:
            expect(impostor.call("Health/Check", seconds=20).service.startswith("indexer"), "the impostor does not run")
            # The indexer that it believed has ended; that is seen at once, or somewhat later on a busy machine.
            until("the archiver has seen its indexer go", 10, lambda: not indexer_is_reachable())
            # Its client has tried for longer than the longest pause between two attempts.
            end = time.monotonic() + 3
            while time.monotonic() < end:
                expect(not indexer_is_reachable(), "the archiver talks to the impostor")
                time.sleep(0.2)
        finally:
            impostor.close()
            site("stop", "indexer")
            file.write_text(right)
            site("start", "indexer")
        until("the archiver has its indexer again", 20, indexer_is_reachable)

    def tls_the_name_of_the_host_is_checked():
        named = options("indexer", "tls+tcp://another.example:1", way.identity)
        expect(dial(indexer, **named), "a certificate for localhost passed for another host's")

    def plain_tcp_to_a_tls_port_is_refused():
        expect(dial(indexer.removeprefix("tls+")), "it got in")
        expect(way.call("indexer", "Health/Check").ready, "the indexer does not answer any more")

    for function in [tls_a_role_that_the_contract_does_not_name_is_refused, tls_without_a_certificate_nobody_is_let_in,
                     tls_a_server_of_another_role_is_not_believed, tls_a_service_does_not_believe_an_impostor_either,
                     tls_the_name_of_the_host_is_checked, plain_tcp_to_a_tls_port_is_refused]:
        check(function)


# --- The certificate script -----------------------------------------------------------------------------------------------


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def check_script(folder):
    def certificates_keys_are_for_their_owner_only():
        keys = list(folder.rglob("*.key"))
        expect(len(keys) == 14, f"{len(keys)} keys")
        for key in keys:
            expect(key.stat().st_mode & 0o777 == 0o600, f"{key} has mode {key.stat().st_mode:o}")

    def certificates_what_is_there_is_not_made_again():
        before = contents(folder)
        again = certificates(folder, "all", "localhost")
        expect(again.returncode == 0 and contents(folder) == before, again.stderr or "files changed")
        expect(certificates(folder, "issue", "indexer", "localhost").returncode == 64, "issue wrote over a certificate")
        expect(contents(folder) == before, "files changed")

    def certificates_one_is_renewed_alone_and_for_the_same_names():
        before = contents(folder)
        renewed = certificates(folder, "renew", "archiver")
        expect(renewed.returncode == 0, renewed.stderr)
        changed = {p.name for p, content in contents(folder).items() if before.get(p) != content}
        expect(changed == {"archiver.pem", "archiver.key"}, changed)
        expect("for localhost," in renewed.stdout, renewed.stdout)

    def certificates_half_an_authority_is_not_replaced():
        (folder / "authority-keys/operator.key").rename(folder / "away")
        refused = certificates(folder, "all", "localhost")
        (folder / "away").rename(folder / "authority-keys/operator.key")
        expect(refused.returncode == 64 and "one is missing" in refused.stderr, refused.stderr)

    for function in [certificates_keys_are_for_their_owner_only, certificates_what_is_there_is_not_made_again,
                     certificates_one_is_renewed_alone_and_for_the_same_names, certificates_half_an_authority_is_not_replaced]:
        check(function)


def main():
    run, folder = SITE / "run", SITE / "certificates"
    check_calls(Way({r: f"ipc://{run}/{r}.rpc" for r in SERVICES}, {r: f"ipc://{run}/{r}.hints" for r in SERVICES}), "ipc")
    made = certificates(folder, "all", "localhost")
    expect(made.returncode == 0, made.stderr)
    way = between_hosts(folder)
    check_calls(way, "tls")
    check_refusals(way, folder)
    check_script(folder)
    print(f"{results['passed']} passed, {results['failed']} failed")
    return 1 if results["failed"] else 0


sys.exit(main())
