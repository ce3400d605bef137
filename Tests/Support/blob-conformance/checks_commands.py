"""What only our own server can be told: which tokens it takes and until when, to fail, to be busy, to let blocks end. The clients
that must cope are the official SDK's."""
import datetime
import os
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobServiceClient

from endpoint import ENDPOINT, KEY, TOKEN_FILE, WORK, check_ours, command, container, equal, name, plain, refused

# Where the server's operations are listed.
OPERATIONS = pathlib.Path(__file__).parent.parent / "BlobServer/BlobRequest.swift"
front = None


class Credential:
    """Gives the tokens of a list, one at each question, and notes for which tenant it was asked."""

    def __init__(self, *tokens):
        self.tokens, self.tenants = list(tokens), []

    def get_token(self, *_, tenant_id=None, **__):
        self.tenants.append(tenant_id)
        return AccessToken(self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0], int(time.time()) + 3600)


def take_tokens(**ends):
    """The server takes these tokens from here on; ends are hours from now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    with open(TOKEN_FILE, "w", encoding="ascii") as file:
        for token, hours in ends.items():
            file.write(f"{token} {now + datetime.timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}\n")


class TLSFront:
    """Takes TLS and passes the bytes on to the server, which has none: the SDK gives a token to nothing else."""

    def __init__(self):
        self.authority, key = (os.path.join(WORK, name) for name in ("front.pem", "front.key"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
             "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", self.authority, "-keyout", key],
            check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, key)
        self.listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def endpoint(self):
        return f"https://127.0.0.1:{self.listener.getsockname()[1]}{urllib.parse.urlsplit(ENDPOINT).path}"

    def serve(self):
        while True:
            try:
                taken, _ = self.listener.accept()
            except ssl.SSLError:
                continue
            parts = urllib.parse.urlsplit(ENDPOINT)
            passed_on = socket.create_connection((parts.hostname, parts.port))
            for source, sink in ((taken, passed_on), (passed_on, taken)):
                threading.Thread(target=self.carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def carry(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def with_tokens(credential):
    global front
    front = front or TLSFront()
    service = BlobServiceClient(front.endpoint, credential=credential, retry_total=0, connection_verify=front.authority)
    return service.get_container_client(name)


def token_is_taken():
    take_tokens(good=1)
    client = with_tokens(Credential("good"))
    client.upload_blob("by-token", b"x", overwrite=True)
    return equal(client.download_blob("by-token").readall(), b"x")


def token_that_ended_is_asked_for_again():
    take_tokens(ended=-1, good=1)
    credential = Credential("ended", "good")
    with_tokens(credential).upload_blob("by-token", b"y", overwrite=True)
    return equal(credential.tenants, [None, "11111111-2222-3333-4444-555555555555"])


def token_that_is_refused_says_so():
    take_tokens(good=1)
    client = with_tokens(Credential("bad"))
    return refused(ClientAuthenticationError, "InvalidAuthenticationInfo", client.get_container_properties, status=401)


def uncommitted_blocks_end():
    blob = container.get_blob_client("abandoned")
    blob.stage_block("0001", b"x")
    equal([b.name for b in container.list_blobs("abandoned", include=["uncommittedblobs"])], ["abandoned"])
    command("POST", "expire-blocks")
    equal([b.name for b in container.list_blobs("abandoned", include=["uncommittedblobs"])], [])
    return refused(ResourceNotFoundError, "BlobNotFound", lambda: blob.get_block_list("all"))


def committed_blocks_stay():
    blob = container.get_blob_client("half")
    blob.stage_block("0001", b"a")
    blob.commit_block_list([BlobBlock("0001")])
    blob.stage_block("0002", b"b")
    command("POST", "expire-blocks")
    committed, uncommitted = blob.get_block_list("all")
    return equal(([b.id for b in committed], uncommitted, blob.download_blob().readall()), (["0001"], [], b"a"))


def fault(action, body, **fields):
    """What `body` gives while a fault waits for its request."""
    command("POST", "faults", {"faults": [{"action": action, **fields}]})
    try:
        return body()
    finally:
        command("DELETE", "faults")


def retrying(**options):
    settings = {"retry_total": 3, "initial_backoff": 0, "increment_base": 0, "random_jitter_range": 0, **options}
    return BlobServiceClient(ENDPOINT, credential=KEY, **settings).get_container_client(name)


def busy_server_is_asked_again():
    return fault("status", lambda: retrying().upload_blob("busy", b"x", overwrite=True), operation="PutBlob", count=2) is not None


def lost_connection_is_made_again():
    return fault("close", lambda: retrying().upload_blob("cut", b"x" * 1000, overwrite=True),
                 operation="PutBlob", after_bytes=10) is not None


def lost_answer_leaves_the_blob():
    try:
        fault("reply_lost", lambda: container.upload_blob("unanswered", b"x"), operation="PutBlob")
    except AzureError:
        return equal(container.download_blob("unanswered").readall(), b"x")
    raise AssertionError("an answer came all the same")


def damage_on_the_way_up_is_refused():
    def send():
        container.get_blob_client("damaged").stage_block("0001", b"abc", validate_content=True)
    return refused(HttpResponseError, "Md5Mismatch", lambda: fault("corrupt", send, operation="PutBlock"))


def damage_on_the_way_down_is_noticed():
    container.upload_blob("damaged", b"abc", overwrite=True)
    try:
        fault("corrupt", lambda: container.download_blob("damaged", offset=0, length=3, validate_content=True).readall(),
              operation="GetBlob")
    except AzureError as error:
        return equal("mismatch" in str(error).lower(), True)
    raise AssertionError("the client took damaged bytes")


def slow_answer_comes():
    start = time.monotonic()
    fault("slow", lambda: container.download_blob("damaged").readall(), operation="GetBlob", delay_ms=300)
    return equal(time.monotonic() - start >= 0.3, True)


def limited(body, **limit):
    command("POST", "throttle", limit)
    try:
        return body()
    finally:
        command("DELETE", "throttle")


def too_many_requests_are_refused():
    def ask():
        return [plain("HEAD", f"{name}/damaged").status for _ in range(3)]
    return equal(limited(ask, requests_per_second=0.001), [200, 503, 503])


def too_many_bytes_are_refused_and_the_wait_is_told():
    def send():
        return [plain("PUT", f"{name}/limited", headers={"x-ms-blob-type": "BlockBlob"}, body=bytes(10_000)) for _ in range(2)]
    first, second = limited(send, bytes_per_second=1, retry_after_seconds=7, status=429, code="TooManyRequests")
    return equal((first.status, second.status, second.code, second.headers["Retry-After"]), (201, 429, "TooManyRequests", "7"))


def a_client_that_waits_gets_through():
    # Of 6 a second 6 come at once; the others have to wait, which the SDK does.
    def send():
        return [retrying(retry_total=10, initial_backoff=1).get_blob_client(f"busy-{i}").upload_blob(b"x")["etag"] for i in range(10)]
    return equal(len(limited(send, requests_per_second=6, retry_after_seconds=1)), 10)


def every_operation_was_asked():
    known = set(re.findall(r'case \w+ = "(\w+)"', OPERATIONS.read_text(encoding="utf-8")))
    asked = {r.get("operation") for r in command("GET", "requests")["requests"] if 200 <= r["status"] < 300}
    return equal(sorted(known - asked), [])


for body in [
        token_is_taken, token_that_ended_is_asked_for_again, token_that_is_refused_says_so, uncommitted_blocks_end,
        committed_blocks_stay, busy_server_is_asked_again, lost_connection_is_made_again, lost_answer_leaves_the_blob,
        damage_on_the_way_up_is_refused, damage_on_the_way_down_is_noticed, slow_answer_comes, too_many_requests_are_refused,
        too_many_bytes_are_refused_and_the_wait_is_told, a_client_that_waits_gets_through]:
    check_ours(body.__name__.replace("_", " "), body)
