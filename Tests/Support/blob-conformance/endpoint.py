"""The endpoint under check, and how its checks are counted. `run` says how the endpoint is given."""
import base64
import datetime
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid

from azure.storage.blob import (
    AccountSasPermissions, BlobServiceClient, ResourceTypes, generate_account_sas)

ENDPOINT = os.environ["SIGHTGLASS_BLOB_ENDPOINT"].rstrip("/")
ACCOUNT = os.environ.get("SIGHTGLASS_BLOB_ACCOUNT", "devstoreaccount1")
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
if os.environ.get("SIGHTGLASS_BLOB_KEY_FILE"):
    with open(os.environ["SIGHTGLASS_BLOB_KEY_FILE"], encoding="ascii") as file:
        KEY = file.read().strip()
# Where our own server's tokens are listed; an endpoint that is not ours has none, and no faults, limits or clock to command.
TOKEN_FILE = os.environ.get("SIGHTGLASS_BLOB_TOKEN_FILE")
IS_OURS = TOKEN_FILE is not None
RCLONE, WORK = sys.argv[1], sys.argv[2]
counts = {"passed": 0, "failed": 0, "skipped": 0}

service = BlobServiceClient(ENDPOINT, credential=KEY, retry_total=0)
name = "sightglass-" + uuid.uuid4().hex[:12]
container = service.get_container_client(name)


def check(what, body):
    """Runs one check; a check fails by an exception or by answering False."""
    try:
        if body() is False:
            raise AssertionError("the answer is not what the service gives")
        counts["passed"] += 1
        print("ok   ", what)
    except Exception as error:  # every kind of failure counts, none may end the run
        counts["failed"] += 1
        print("FAIL ", what, type(error).__name__, str(error).splitlines()[0][:200] if str(error) else "")


def check_ours(what, body):
    """A check that needs a server which can be told to fail; elsewhere it is skipped, and said so."""
    if IS_OURS:
        check(what, body)
    else:
        counts["skipped"] += 1
        print("skip ", what, "(only of a server that can be commanded)")


def refused(kind, code, body, status=None):
    """True where `body` fails with this exception and this x-ms-error-code and status; None stands for any."""
    try:
        body()
    except kind as error:
        actual = error.response.headers.get("x-ms-error-code")
        if code and actual != code:
            raise AssertionError(f"error code {actual} instead of {code}") from error
        if status and error.response.status_code != status:
            raise AssertionError(f"status {error.response.status_code} instead of {status}") from error
        return True
    raise AssertionError(f"no {code or status}")


def equal(actual, expected):
    """True where both are the same; else says how they differ."""
    if actual != expected:
        raise AssertionError(f"{str(actual)[:150]} instead of {str(expected)[:150]}")
    return True


def later(hours):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def code(self):
        return self.headers.get("x-ms-error-code")


def plain(method, path, query="", headers=None, body=None):
    """One request without a library between: what the SDK cannot send, or does not show of an answer. `path` is below the account."""
    sas = generate_account_sas(
        ACCOUNT, KEY, ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True, tag=True), later(1))
    return http(method, f"{ENDPOINT}/{urllib.parse.quote(path)}?{query}{'&' if query else ''}{sas}", headers, body)


def http(method, url, headers=None, body=None):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


def command(method, what, value=None):
    """A command to our own server; see Control.swift."""
    parts = urllib.parse.urlsplit(ENDPOINT)
    answer = http(method, f"{parts.scheme}://{parts.netloc}/_control/{what}", body=json.dumps(value).encode() if value else None)
    if answer.status >= 300:
        raise AssertionError(f"{method} {what}: {answer.status} {answer.body}")
    return json.loads(answer.body) if answer.body else None


def base64_text(content):
    return base64.b64encode(content).decode()
