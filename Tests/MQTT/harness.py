"""What the checks of this folder share: counting, waiting, and a view of the site from behind the adapter's back, through
the client of Tests/Python: what registry and indexer were told, which processes run."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "Tests/Python"))
from sightglass import CallError, Client, Contract  # noqa: E402

from broker import NAMESPACE  # noqa: E402

ADAPTER = "mqtt-edge-adapter"
results = {"passed": 0, "failed": 0}


def check(name, function, *arguments):
    """Runs a check and counts it; what it raises is why it failed."""
    try:
        function(*arguments)
        results["passed"] += 1
        print(f"passed  {name}", flush=True)
    except Exception as error:
        results["failed"] += 1
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        print(f"FAILED  {name}: {kind}{str(error)[:600]}", flush=True)


def check_all(prefix, functions, *arguments):
    """Runs functions whose names say what they check."""
    for function in functions:
        check(f"{prefix}: {function.__name__.replace('_', ' ')}", function, *arguments)


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def until(what, seconds, probe):
    """What `probe` gives as soon as it is something. Raises when that takes too long."""
    end = time.monotonic() + seconds
    while not (value := probe()):
        expect(time.monotonic() < end, f"waited {seconds} s in vain until {what}")
        time.sleep(0.05)
    return value


class Site:
    """A running site."""

    def __init__(self, folder, executables):
        self.folder, self.bin = Path(folder), Path(executables)
        self.contract = Contract(TOP / "proto")
        self.clients = {}

    def client(self, role):
        if role not in self.clients:
            self.clients[role] = Client(self.contract, role, f"ipc://{self.folder}/run/{role}.rpc", "operator/mqtt-checks")
        return self.clients[role]

    def call(self, role, method, *arguments, **fields):
        return self.client(role).call(method, *arguments, **fields)

    # --- Processes ------------------------------------------------------------------------------------------------------

    def control(self, *arguments):
        """deploy/local/site: start, stop, kill."""
        ran = subprocess.run(["bash", TOP / "deploy/local/site", *arguments], capture_output=True, text=True, timeout=60,
                             env={**os.environ, "SITE": str(self.folder), "BIN": str(self.bin)})
        expect(ran.returncode == 0, f"site {' '.join(arguments)}: {ran.stdout}{ran.stderr}")

    def pid(self, name):
        return int((self.folder / "pids" / name).read_text())

    def is_running(self, name):
        try:
            os.kill(self.pid(name), 0)
            return True
        except ProcessLookupError:
            return False

    def signal(self, name, number):
        os.kill(self.pid(name), number)

    def pause(self, name):
        """The process stays and does nothing, until `resume`: how a neighbour is slow on purpose."""
        self.signal(name, signal.SIGSTOP)

    def resume(self, name):
        self.signal(name, signal.SIGCONT)

    def is_ready(self, role):
        """Whether a service is there and says that it can work; the adapter can once its sessions with the broker are up."""
        try:
            reply = self.call(role, "Health/Check", seconds=2)
        except CallError:
            return False
        return reply.ready and all(n.reachable for n in reply.neighbours)

    def until_ready(self, role):
        until(f"{role} is ready", 30, lambda: self.is_ready(role))

    def restart_adapter(self, between=lambda: None):
        self.control("stop", ADAPTER)
        between()
        self.control("start", ADAPTER)
        self.until_ready(ADAPTER)

    def apply(self, text):
        """Gives the registry devices and assets."""
        return self.call("asset-registry", "AssetRegistry/Apply", text=text, origin="mqtt-checks")

    # --- What was done --------------------------------------------------------------------------------------------------

    def cursor(self):
        """Where the registry's list of changes ends."""
        return self.call("asset-registry", "AssetRegistry/Changes", limit=1).newest

    def desired_since(self, cursor):
        """The streams whose task was started or stopped since then, once for each time."""
        changes = self.call("asset-registry", "AssetRegistry/Changes", after=cursor, limit=1000).changes
        return [change.name for change in changes if change.what == "desired"]

    def desired(self, asset, stream):
        """The desired state of a stream, as the registry has it."""
        for one in self.call("asset-registry", "AssetRegistry/GetConfiguration").streams:
            if (one.name.asset, one.name.stream) == (asset, stream):
                return one.desired
        raise AssertionError(f"the registry knows no stream {asset}/{stream}")

    def set_desired(self, asset, stream, running):
        """Starts or stops a task without MQTT, so that a check begins where it wants to."""
        name = self.contract.message("StreamName", asset=asset, stream=stream)
        self.call("asset-registry", "AssetRegistry/SetDesiredState", stream=name, running=running, started_by="mqtt-checks")

    def requests(self):
        """The ids of all archive requests and their states."""
        states = self.contract.names("RequestState")
        listed = self.call("indexer", "Indexer/ListRequests", limit=200).requests
        return {request.request_id: states[request.state] for request in listed}

    def effects(self):
        """Everything that a message could have changed, for comparing before with after."""
        configuration = self.call("asset-registry", "AssetRegistry/GetConfiguration")
        return self.cursor(), configuration.revision, sorted(self.requests())


def command(asset, stream, verb):
    """The topic of a stream's command. What MQTT gives a meaning in a name is written as %XX."""
    return f"{NAMESPACE}/asset-operations/{level(asset)}/{level(stream)}/{verb}"


def legacy(asset, verb):
    """The topic of one of the four verbs of the preview, which name the stream in the payload."""
    return f"{NAMESPACE}/asset-operations/{level(asset)}/{verb}"


def sync(name):
    return f"{NAMESPACE}/media-sync/{name}"


def level(name):
    """A name as one level of a topic, every byte that is no plain ASCII letter, digit or -._~ as %XX."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in name.encode())


def finish():
    """The last line of a part, and its exit status."""
    print(f"{results['passed']} passed, {results['failed']} failed", flush=True)
    return 1 if results["failed"] else 0
