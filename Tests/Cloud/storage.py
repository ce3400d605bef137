"""The storage that our uploader puts files into, looked at by clients that share no code with it: the official Python SDK and rclone.

It is a site's own Blob server, or what SIGHTGLASS_BLOB_ENDPOINT, SIGHTGLASS_BLOB_ACCOUNT and SIGHTGLASS_BLOB_KEY_FILE name.
"""
import datetime
import hashlib
import json
import os
import subprocess
import uuid
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from harness import expect

RCLONE = os.environ["RCLONE"]
# Bytes that the service takes in the value of a tag, beside letters and digits, without '='; what else comes is written as '=' and two
# hexadecimal digits.
KEPT_IN_TAGS = b" +-./:_"
LONGEST_TAG = 256


class Expected:
    """What a blob must be. `metadata` and `tags` None: whatever; `at_least`: those and more."""

    def __init__(self, content, content_type, metadata=None, tags=None, at_least=False):
        self.content, self.content_type, self.metadata, self.tags, self.at_least = content, content_type, metadata, tags, at_least


class Storage:
    """A container of an account."""

    def __init__(self, endpoint, account, key_file, container=None):
        self.endpoint, self.account, self.key_file = endpoint.rstrip("/"), account, Path(key_file)
        key = self.key_file.read_text().strip()
        # Also where one is named: it may have been made with the site.
        self.is_ours = container is None
        self.name = container or f"sightglass-{uuid.uuid4().hex[:12]}"
        self.service = BlobServiceClient(self.endpoint, credential=key)
        self.container = self.service.get_container_client(self.name)
        if self.is_ours:
            self.container.create_container()
        self.environment = {
            **os.environ, "RCLONE_CONFIG": os.devnull, "RCLONE_CONFIG_AZ_TYPE": "azureblob", "RCLONE_CONFIG_AZ_ACCOUNT": account,
            "RCLONE_CONFIG_AZ_KEY": key, "RCLONE_CONFIG_AZ_ENDPOINT": self.endpoint,
            # Names are taken as they are; else rclone shows some characters as others.
            "RCLONE_CONFIG_AZ_ENCODING": "None"}

    @staticmethod
    def foreign():
        """The one that the environment names, with a container of our own; None where it names none."""
        endpoint = os.environ.get("SIGHTGLASS_BLOB_ENDPOINT")
        if not endpoint:
            return None
        account, key_file = (os.environ.get(f"SIGHTGLASS_BLOB_{name}") for name in ("ACCOUNT", "KEY_FILE"))
        expect(account and key_file, "SIGHTGLASS_BLOB_ENDPOINT needs SIGHTGLASS_BLOB_ACCOUNT and SIGHTGLASS_BLOB_KEY_FILE")
        return Storage(endpoint, account, key_file)

    def settings(self):
        """The uploader's settings for it."""
        return (f"blob-endpoint: {self.endpoint}\naccount: {self.account}\ncontainer: {self.name}\n"
                f"key-file: {self.key_file.resolve()}\n")

    def remove(self):
        if self.is_ours:
            self.container.delete_container()

    def rclone(self, *arguments):
        ran = subprocess.run([RCLONE, *arguments], env=self.environment, capture_output=True, text=True, timeout=150)
        expect(ran.returncode == 0, f"rclone {arguments[0]}: {ran.stderr.strip()[-500:]}")
        return ran.stdout

    # --- What is there --------------------------------------------------------------------------------------------------

    def listed(self):
        """All blobs by name, also those of which there are uncommitted blocks only."""
        return {blob.name: blob for blob in self.container.list_blobs(include=["metadata", "tags", "uncommittedblobs"])}

    def has_exactly(self, names):
        there = set(self.listed())
        expect(there == set(names), f"missing: {sorted(set(names) - there)}; nobody asked for: {sorted(there - set(names))}")

    def has_no_rubbish(self):
        """Nothing was begun and left: no blob has a block that is not part of it."""
        for name in self.listed():
            _, uncommitted = self.container.get_blob_client(name).get_block_list("all")
            expect(not uncommitted, f"{name} has {len(uncommitted)} uncommitted blocks")

    def read_by_sdk(self, name, expected):
        """Bytes, MD5 and length; content type, metadata and tags, by themselves and in the list."""
        blob = self.container.get_blob_client(name)
        properties, listed = blob.get_blob_properties(), self.listed()[name]
        digest, size = hashlib.md5(), 0
        for chunk in blob.download_blob().chunks():
            digest.update(chunk)
            size += len(chunk)
        md5 = hashlib.md5(expected.content).digest()
        expect((size, digest.digest()) == (len(expected.content), md5),
               f"{name}: {size} bytes, MD5 {digest.hexdigest()}, which is not ours")
        expect(properties.size == size, f"{name}: said to have {properties.size} bytes, has {size}")
        # The service makes it of what comes in one request; of blocks it has none.
        stored = properties.content_settings.content_md5
        if not blob.get_block_list("committed")[0]:
            expect(stored and bytes(stored) == md5, f"{name}: its Content-MD5 is {stored}")
        expect(not stored or bytes(stored) == md5, f"{name}: its Content-MD5 is that of something else")
        same(f"{name}: content type", properties.content_settings.content_type, expected.content_type)
        if expected.metadata is not None:
            same(f"{name}: metadata", lower(properties.metadata), expected.metadata, expected.at_least)
            same(f"{name}: metadata in the list", lower(listed.metadata), lower(properties.metadata))
        if expected.tags is not None:
            tags = blob.get_blob_tags()
            same(f"{name}: tags", tags, expected.tags, expected.at_least)
            same(f"{name}: tags in the list", listed.tags or {}, tags)

    def read_by_rclone(self, folder, expected):
        """Each file of the folder is there and equal, read back, and nothing else is; sizes, MD5, content types and metadata."""
        self.rclone("check", "--download", "--exclude", "/.**", str(folder), f"az:{self.name}")
        entries = json.loads(self.rclone("lsjson", "-R", "-M", "--files-only", "--hash", f"az:{self.name}"))
        there = {entry["Path"]: entry for entry in entries}
        expect(set(there) == set(expected), f"rclone lists other names: {sorted(set(there) ^ set(expected))}")
        for name, one in expected.items():
            entry = there[name]
            same(f"rclone: size of {name}", entry["Size"], len(one.content))
            same(f"rclone: content type of {name}", entry["MimeType"], one.content_type)
            md5 = entry.get("Hashes", {}).get("md5")
            expect(not md5 or md5 == hashlib.md5(one.content).hexdigest(), f"rclone: MD5 of {name} is {md5}")
            if one.metadata is not None:
                found = {key: value for key, value in entry["Metadata"].items() if key in one.metadata or not one.at_least}
                found = {key: value for key, value in found.items() if key not in ("content-type", "mtime", "tier")}
                same(f"rclone: metadata of {name}", found, one.metadata)

    def found_by_tags(self, where):
        """The names in this container, found by the account's own index."""
        return sorted(blob.name for blob in self.container.find_blobs_by_tags(where))


def same(what, found, wanted, at_least=False):
    if at_least:
        found = {key: value for key, value in found.items() if key in wanted}
    expect(found == wanted, f"{what}: {found}, not {wanted}")


def lower(metadata):
    """Names of metadata have no case."""
    return {key.lower(): value for key, value in (metadata or {}).items()}


def tag(text):
    """A value as the uploader writes it into a tag."""
    result = ""
    for byte in text.encode():
        is_kept = chr(byte).isascii() and chr(byte).isalnum() or byte in KEPT_IN_TAGS
        part = chr(byte) if is_kept else f"={byte:02X}"
        if len(result) + len(part) > LONGEST_TAG:
            break
        result += part
    return result


def header(text):
    """A value as the uploader writes it into metadata, whose headers are ASCII."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x25 else f"%{byte:02X}" for byte in text.encode()).strip()


def iso(us):
    """Microseconds since 1970 as metadata and tags have them."""
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(microseconds=us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
