"""A client of Sightglass in Python. It is written from proto/README.md and the .proto files alone, and imports nothing of
the project: pynng speaks nng's wire protocols, protobuf encodes, everything else stands here.

    contract = Contract("proto")
    indexer = Client(contract, "indexer", "ipc:///run/sightglass/indexer.rpc", caller="operator/report")
    reply = indexer.call("Indexer/ListCameras")

`footage.py` is a program on it, `check.py` its test.
"""
import random
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pynng
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

PACKAGE = "sightglass.v1."
VERSION = 1005
# A message is at most 1 MiB; nng counts its own header too.
LARGEST_MESSAGE = (1 << 20) + 65536
REQUEST_WAS_LOST = (pynng.ConnectionReset, pynng.ConnectionAborted, pynng.Closed)


class CallError(Exception):
    """What a server answered in place of a reply, or why there is no answer. `code` is "NOT_FOUND" and so on."""

    def __init__(self, code, message, field=""):
        super().__init__(f"{code}: {message}" + (f" (field {field})" if field else ""))
        self.code, self.field = code, field


class Contract:
    """The messages and methods of the .proto files. protoc reads them when the program starts; no code is generated."""

    def __init__(self, folder):
        folder = Path(folder)
        files = sorted(str(p.relative_to(folder)) for p in folder.glob("sightglass/v1/*.proto"))
        with tempfile.NamedTemporaryFile() as out:
            subprocess.run(["protoc", "-I", ".", f"--descriptor_set_out={out.name}", *files], cwd=folder, check=True)
            described = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())
        self.pool = descriptor_pool.DescriptorPool()
        for file in in_order(described.file):
            self.pool.Add(file)

    def message(self, name, /, **fields):
        """A message by its name: contract.message("Window", start_us=1, end_us=2)."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(PACKAGE + name))(**fields)

    def method(self, name):
        """The descriptor of "Indexer/GetRequest"."""
        service, _, method = name.partition("/")
        return self.pool.FindServiceByName(PACKAGE + service).methods_by_name[method]

    def names(self, enum):
        """The values of an enum as a dictionary of numbers to names without prefix: {1: "ACCEPTED"}."""
        values = self.pool.FindEnumTypeByName(PACKAGE + enum).values_by_number
        prefix = "".join("_" + c if c.isupper() else c.upper() for c in enum).lstrip("_") + "_"
        return {number: value.name.removeprefix(prefix) for number, value in values.items()}


def in_order(files):
    """A file may be added to a pool only after those that it imports."""
    waiting, added = list(files), set()
    while waiting:
        for file in [f for f in waiting if added.issuperset(f.dependency)]:
            waiting.remove(file)
            added.add(file.name)
            yield file


class Identity:
    """Who we are between hosts: our certificate and key, and the folder with the authority of each role."""

    def __init__(self, authorities, certificate, key):
        self.authorities, self.certificate, self.key = Path(authorities), Path(certificate), Path(key)

    def calling(self, role, address):
        """The TLS configuration for a call of `role`: we trust that role's authority only, and the host must be named."""
        return pynng.TLSConfig(
            pynng.TLSConfig.MODE_CLIENT, server_name=urlsplit(address).hostname, auth_mode=pynng.TLSConfig.AUTH_MODE_REQUIRED,
            ca_string=(self.authorities / f"{role}.pem").read_text(),
            own_cert_string=self.certificate.read_text(), own_key_string=self.key.read_text())


def options(role, address, identity):
    needs_tls = address.startswith("tls+tcp://")
    return {"recv_max_size": LARGEST_MESSAGE, "reconnect_time_min": 50, "reconnect_time_max": 1000,
            "tls_config": identity.calling(role, address) if needs_tls else None}


class Client:
    """Calls one service. One call at a time; a thread that wants more makes another client."""

    def __init__(self, contract, role, address, caller, identity=None):
        self.contract, self.address, self.caller = contract, address, caller
        self.codes = contract.names("Code")
        self.connected = threading.Event()
        # A negative time turns nng's own resend off: it would repeat what must not be repeated.
        self.socket = pynng.Req0(resend_time=-1, **options(role, address, identity))
        self.socket.add_post_pipe_connect_cb(lambda pipe: self.connected.set())
        self.socket.add_post_pipe_remove_cb(lambda pipe: self.connected.clear())
        self.socket.dial(address, block=False)

    def call(self, name, request=None, seconds=10, idempotency_key=None, **fields):
        """Calls "Indexer/GetRequest" with a message, or with its fields, and gives the reply. Raises CallError. What may be
        sent again is sent again within the time, when the server is not there or not ready."""
        method = self.contract.method(name)
        level = descriptor_pb2.MethodOptions.IdempotencyLevel.Name(method.GetOptions().idempotency_level)
        is_safe = level in ("NO_SIDE_EFFECTS", "IDEMPOTENT") or idempotency_key is not None
        request = request if request is not None else self.contract.message(method.input_type.name, **fields)
        envelope = self.contract.message(
            "RequestEnvelope", method=f"{PACKAGE}{name}", version=VERSION, request_id=f"{random.getrandbits(64):x}",
            caller=self.caller, body=request.SerializeToString())
        if idempotency_key is not None:
            envelope.idempotency_key = idempotency_key
        end = time.monotonic() + seconds
        while True:
            try:
                body = self.exchange(envelope, end)
                return message_factory.GetMessageClass(method.output_type).FromString(body)
            except CallError as error:
                if error.code != "UNAVAILABLE" or not is_safe or time.monotonic() + 0.1 >= end:
                    raise
                time.sleep(0.1)

    def exchange(self, envelope, end):
        """Sends an envelope once, and gives the body of the reply."""
        if not self.connected.wait(end - time.monotonic()):
            raise CallError("UNAVAILABLE", f"nobody answers at {self.address}, or one does not trust the other's certificate")
        envelope.remaining_ms = min(max(1, round((end - time.monotonic()) * 1000)), 600_000)
        self.socket.send_timeout = envelope.remaining_ms
        try:
            self.socket.send(envelope.SerializeToString())
            # What the server says when the time is over says more than we could.
            self.socket.recv_timeout = envelope.remaining_ms + 1000
            reply = self.contract.message("ReplyEnvelope")
            reply.ParseFromString(self.socket.recv())
        except pynng.Timeout:
            raise CallError("DEADLINE_EXCEEDED", f"{self.address} did not answer in time") from None
        except REQUEST_WAS_LOST as error:
            raise CallError("UNAVAILABLE", f"the connection to {self.address} was lost: {error}") from None
        except DecodeError:
            raise CallError("INTERNAL", f"{self.address} answered with something that is no reply") from None
        if reply.code:
            raise CallError(self.codes.get(reply.code, str(reply.code)), reply.message, reply.field)
        return reply.body

    def close(self):
        self.socket.close()


class Hints:
    """Listens to the hints of one service. They may be lost, and only say where to look."""

    def __init__(self, contract, role, address, identity=None):
        self.contract, self.last = contract, None
        self.connected = threading.Event()
        # All topics, because the numbers count over all of them.
        self.socket = pynng.Sub0(topics="", **options(role, address, identity))
        self.socket.add_post_pipe_connect_cb(lambda pipe: self.connected.set())
        self.socket.dial(address, block=False)

    def next(self, seconds):
        """(hint, lost): the next hint, or None after `seconds`. `lost` says that others may have been lost before: then ask
        Changes, or whatever one wants to know. It is so after each connection too."""
        self.socket.recv_timeout = max(1, round(seconds * 1000))
        try:
            topic, _, body = self.socket.recv().partition(b"\0")
        except pynng.Timeout:
            return None, self.is_new()
        hint = self.contract.message("Hint")
        hint.ParseFromString(body)
        if hint.topic.encode() != topic:
            raise CallError("INTERNAL", "a hint's topic is not the one that it was sent under")
        lost = self.is_new() or self.last is None or (hint.epoch, hint.sequence) != (self.last[0], self.last[1] + 1)
        self.last = (hint.epoch, hint.sequence)
        return hint, lost

    def is_new(self):
        """Whether a connection was made since this was asked last."""
        was_made = self.connected.is_set()
        self.connected.clear()
        return was_made

    def close(self):
        self.socket.close()
