"""Shared access signatures as the official SDK makes them, and what each gives the right to, one JSON object a line. Run once for
each version of the SDK, because each signs for its own version of the service."""
import base64
import datetime
import json
from urllib.parse import quote

from azure.storage.blob import (
    AccountSasPermissions, BlobSasPermissions, ResourceTypes, generate_account_sas, generate_blob_sas, generate_container_sas)
from azure.storage.blob._shared.constants import X_MS_VERSION

from odd_names import ODD_NAMES

KEY = base64.b64encode(b"canary-account-key-of-the-signature-vectors-64-bytes-long-000000").decode()
ACCOUNT, CONTAINER, OTHER = "devstoreaccount1", "cams", "another blob.mp4"
START = datetime.datetime(2026, 11, 23, 5, 0, 0, tzinfo=datetime.timezone.utc)
WITHIN = datetime.timedelta(minutes=30)
END = START + datetime.timedelta(hours=1)
HERE, ELSEWHERE = "10.0.0.5", "10.9.9.9"
ADDRESSES = [None, "10.0.0.5", "10.0.0.1-10.0.0.9"]
OVERRIDES = [{}, {"content_type": "video/mp4; a=b"}, {"content_disposition": 'attachment; filename="ü +&.mp4"', "cache_control": "no-cache"},
             {"content_encoding": "gzip", "content_language": "de, en"}]
RIGHTS = [{"read": True}, {"create": True}, {"write": True}, {"delete": True}, {"read": True, "write": True, "create": True},
          {"read": True, "delete": True, "add": True, "create": True, "write": True}]
LETTERS = {"read": "r", "create": "c", "write": "w", "delete": "d", "add": "a"}


def question(method, blob, answer, exists=True, at=WITHIN, address=HERE):
    """What is asked: method, path, whether the blob exists, when, from where; and the error code that is the answer, "" where it
    is allowed."""
    path = f"/{ACCOUNT}/{CONTAINER}/" + quote(blob, safe="~/")
    return [method, path, exists, round((START + at).timestamp()), address, answer]


def questions(blob, rights, address=None, has_start=True, of_blob=False):
    given = {LETTERS[right] for right in rights}

    def by(*letters):
        return "" if given & set(letters) else "AuthorizationPermissionMismatch"

    first = next((method, exists) for letter, method, exists in [
        ("r", "GET", True), ("c", "PUT", False), ("w", "PUT", True), ("d", "DELETE", True)] if letter in given)
    yield question("GET", blob, by("r"))
    yield question("HEAD", blob, by("r"))
    yield question("PUT", blob, by("c", "w"), exists=False)
    yield question("PUT", blob, by("w"))
    yield question("DELETE", blob, by("d"))
    yield question(first[0], blob, "AuthenticationFailed", first[1], at=datetime.timedelta(hours=1))
    before = datetime.timedelta(seconds=-1)
    yield question(first[0], blob, "AuthenticationFailed" if has_start else "", first[1], at=before)
    yield question(first[0], blob, "AuthorizationSourceIPMismatch" if address else "", first[1], address=ELSEWHERE)
    yield question(first[0], OTHER, "AuthenticationFailed" if of_blob else "", first[1])


def write(kind, token, asked):
    print(json.dumps({"kind": kind, "token": token, "asked": list(asked)}, ensure_ascii=True, separators=(",", ":")))


def main():
    # Each name once, and some of them for the older versions too.
    for index, blob in enumerate(ODD_NAMES[::1 if X_MS_VERSION > "2022" else 5]):
        rights, address = RIGHTS[index % 6], ADDRESSES[index % 3]
        start = START if index % 2 == 0 else None
        write("blob", generate_blob_sas(
            ACCOUNT, CONTAINER, blob, account_key=KEY, permission=BlobSasPermissions(**rights), start=start, expiry=END, ip=address,
            **OVERRIDES[index % 4]), questions(blob, rights, address, start is not None, of_blob=True))
    for index, rights in enumerate(RIGHTS):
        blob, address = ODD_NAMES[index * 7], ADDRESSES[index % 3]
        write("container", generate_container_sas(
            ACCOUNT, CONTAINER, account_key=KEY, permission=rights_text(rights),
            start=START, expiry=END, ip=address, **OVERRIDES[index % 4]), questions(blob, rights, address))
        write("account", generate_account_sas(
            ACCOUNT, KEY, ResourceTypes(object=True, container=index % 2 == 0), AccountSasPermissions(**rights), END, start=START,
            ip=address), questions(blob, rights, address))
    write("blob", generate_blob_sas(
        ACCOUNT, CONTAINER, "a", account_key=KEY, permission="r", expiry=END, protocol="https"),
        [question("GET", "a", "AuthorizationProtocolMismatch")])
    write("blob", generate_blob_sas(
        ACCOUNT, CONTAINER, "a", account_key=KEY, permission="r", expiry=END, protocol="https,http"), [question("GET", "a", "")])
    write("blob", generate_blob_sas(
        ACCOUNT, "other", "a", account_key=KEY, permission="r", expiry=END), [question("GET", "a", "AuthenticationFailed")])
    write("blob", generate_blob_sas(
        "otheraccount", CONTAINER, "a", account_key=KEY, permission="r", expiry=END), [question("GET", "a", "AuthenticationFailed")])
    write("account", generate_account_sas(
        ACCOUNT, KEY, ResourceTypes(container=True), AccountSasPermissions(read=True), END),
        [question("GET", "a", "AuthorizationResourceTypeMismatch")])


def rights_text(rights):
    """Letters in the order that is signed; the early SDKs cannot say "create" for a container."""
    given = {LETTERS[right] for right in rights}
    return "".join(letter for letter in "racwd" if letter in given)


main()
