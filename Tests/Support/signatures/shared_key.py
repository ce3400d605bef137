"""Requests as the official SDK signs them, one JSON object a line: name, url path, query (decoded, as sent), headers, the string
that was signed, the Authorization header. No request leaves this process."""
import base64
import datetime
import json
from unittest import mock
from urllib.parse import unquote, urlsplit

from azure.core import MatchConditions
from azure.core.pipeline.transport import HttpTransport
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings, StandardBlobTier
from azure.storage.blob._shared import authentication, policies

from odd_names import ODD_NAMES

# Every credential of the tests says that it is one (Tests/README.md, "Canaries").
KEY = base64.b64encode(b"canary-account-key-of-the-signature-vectors-64-bytes-long-000000").decode()
AT = datetime.datetime(2026, 11, 23, 5, 11, 1, tzinfo=datetime.timezone.utc)
signed = []


class Sent(Exception):
    pass


class NoTransport(HttpTransport):
    """Remembers the request that would have been sent."""

    def send(self, request, **_):
        raise Sent(request)

    def open(self):
        pass

    def close(self):
        pass

    def __exit__(self, *_):
        pass


def sign_string(key, text):
    signed.append(text)
    return original(key, text)


original = authentication.sign_string
# Orders of names that differ by bytes and by the service's weights, values with what must stay as it is.
METADATA = [
    {"camera": "cam1"}, {"i0": "a", "i_": "b"}, {"foo_bar": "1", "foo2_bar": "2", "foo": "3"}, {"z": "1", "a": "2", "m": "3"},
    {"test": "v", "test_": "v", "test__": "v", "test_a": "v", "test_z": "v", "testa": "v", "test0": "v"},
    {"sha256": "f" * 64, "start_us": "1", "start": "2", "start0": "3"}, {"value": "a=b&c=d:e;f, g"}, {"Mixed_Case": "x", "mixed": "y"},
    {"test-a": "1", "testa": "2", "tes-ta": "3", "te-sta": "4", "test-": "5", "test": "6", "test_-": "7", "test-_": "8"},
]
TAGS = [None, {"camera": "cam1"}, {"camera": "line 1", "event": "a+b:c/d=e_f"}]


def operations(blob, container, index):
    metadata = METADATA[index % len(METADATA)]
    once = {"etag": '"0x8D"', "match_condition": MatchConditions.IfNotModified}
    yield lambda: blob.upload_blob(
        b"abc", metadata=metadata, tags=TAGS[index % 3], standard_blob_tier=StandardBlobTier.COOL if index % 4 == 0 else None,
        content_settings=ContentSettings(
            content_type="video/mp4", content_language="de", content_encoding="identity", content_disposition='inline; a="b"'))
    yield [
        lambda: blob.stage_block(f"{index:08d}", b"abcdef", validate_content=True),
        lambda: blob.commit_block_list([BlobBlock("00000001")], metadata=metadata, tags=TAGS[index % 3]),
        lambda: blob.get_block_list("all"),
        lambda: blob.get_blob_properties(**once),
        lambda: blob.download_blob(offset=5, length=10, validate_content=True),
        lambda: blob.set_blob_metadata(metadata, if_unmodified_since=AT),
        lambda: blob.delete_blob(delete_snapshots="include"),
        lambda: blob.get_blob_tags(),
        lambda: blob.set_blob_tags({"a b": "c+d"}),
        lambda: next(iter(container.list_blobs(name_starts_with=blob.blob_name, include=["metadata", "tags", "uncommittedblobs"]))),
        lambda: blob.acquire_lease(15, lease_id="6a1b0f0e-0000-4000-8000-000000000000"),
        lambda: blob.upload_blob(b"", overwrite=True, if_modified_since=AT),
    ][index % 12]


def main():
    accounts = [
        BlobServiceClient("https://myaccount.blob.core.windows.net", credential=KEY, transport=NoTransport(), retry_total=0),
        BlobServiceClient("http://127.0.0.1:10000/devstoreaccount1", credential={
            "account_name": "devstoreaccount1", "account_key": KEY}, transport=NoTransport(), retry_total=0),
    ]
    number = 0
    with mock.patch.object(authentication, "sign_string", sign_string), \
            mock.patch.object(policies, "uuid", mock.Mock(uuid1=lambda: "00000000-0000-1000-8000-000000000000")), \
            mock.patch.object(policies, "time", lambda: AT.timestamp()):
        for index, name in enumerate(ODD_NAMES):
            service = accounts[index % 2]
            container = service.get_container_client("cams")
            for operation in operations(container.get_blob_client(name), container, index):
                number += 1
                signed.clear()
                try:
                    operation()
                except Sent as sent:
                    write(number, name, service, sent.args[0])
                else:
                    raise AssertionError("nothing was sent")


def write(number, name, service, request):
    parts = urlsplit(request.url)
    query = [pair.split("=", 1) for pair in parts.query.split("&") if pair]
    headers = [[key.lower(), str(value)] for key, value in request.headers.items() if key.lower() not in (
        "authorization", "user-agent", "accept")]
    print(json.dumps({
        "number": number, "account": service.account_name, "blob": name, "method": request.method, "path": parts.path,
        "query": [[key, unquote(value)] for key, value in query], "headers": headers, "signed": signed[-1],
        "authorization": request.headers["Authorization"]}, ensure_ascii=True, separators=(",", ":")))


main()
