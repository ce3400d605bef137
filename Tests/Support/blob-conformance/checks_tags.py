"""Index tags, by the official Python SDK."""
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import (
    BlobBlock, BlobClient, BlobServiceClient, ContainerSasPermissions, generate_container_sas)

from endpoint import ACCOUNT, ENDPOINT, KEY, check, container, equal, later, name, plain, refused, service

TAGS = {"camera": "cam 1", "start": "2026-11-30T05:00:00Z", "path": "a/b+c-d.e:f=g_h", "empty": ""}
OTHER = {"camera": "cam2", "start": "2026-12-01T05:00:00Z"}
blob = container.get_blob_client("tagged.mp4")
blocks = container.get_blob_client("tagged-blocks.mp4")


def commit(**options):
    blocks.stage_block("0001", b"x")
    return blocks.commit_block_list([BlobBlock("0001")], **options)


def found(where, within=service):
    return sorted(x.name for x in within.find_blobs_by_tags(where) if x.container_name == name)


def tags_of_another_version(version):
    return BlobServiceClient(ENDPOINT, credential=KEY, retry_total=0, api_version=version).get_blob_client(name, "tagged.mp4")


def by_signature(**rights):
    token = generate_container_sas(ACCOUNT, name, account_key=KEY, permission=ContainerSasPermissions(**rights), expiry=later(1))
    return BlobClient.from_blob_url(f"{blob.url}?{token}", retry_total=0)


def unchanged_by_tags():
    before = blob.get_blob_properties()
    blob.set_blob_tags(TAGS)
    after = blob.get_blob_properties()
    return equal((after.etag, after.last_modified), (before.etag, before.last_modified))


check("put blob with tags", lambda: (blob.upload_blob(b"x", tags=TAGS), equal(blob.get_blob_tags(), TAGS))[1])
check("tag count of properties", lambda: equal(blob.get_blob_properties().tag_count, len(TAGS)))
check("tag count of a get", lambda: equal(blob.download_blob().properties.tag_count, len(TAGS)))
check("no tags: none counted", lambda: (
    container.upload_blob("untagged", b"x"), equal(container.get_blob_client("untagged").get_blob_tags(), {}),
    equal(container.get_blob_client("untagged").get_blob_properties().tag_count, None))[2])
check("commit with tags", lambda: (commit(tags=OTHER), equal(blocks.get_blob_tags(), OTHER))[1])
check("list with tags", lambda: equal(
    {b.name: b.tags for b in container.list_blobs("tagged", include=["tags"])}, {"tagged.mp4": TAGS, "tagged-blocks.mp4": OTHER}))
check("list without tags", lambda: equal([b.tags for b in container.list_blobs("tagged")], [None, None]))
check("find by a tag, in the account", lambda: equal(found("\"camera\"='cam2'"), ["tagged-blocks.mp4"]))
check("find by a range and a container", lambda: equal(
    found(f"@container='{name}' AND \"start\">='2026-11-30' AND \"start\"<'2026-12-01'"), ["tagged.mp4"]))
check("find in a container", lambda: equal(found("\"start\">'2026'", container), ["tagged-blocks.mp4", "tagged.mp4"]))
check("find: what is no expression", lambda: refused(HttpResponseError, "InvalidQueryParameterValue", lambda: found("camera is cam2")))
check("set tags changes neither ETag nor time", unchanged_by_tags)
check("set tags replaces", lambda: (blob.set_blob_tags({"a": "1"}), equal(blob.get_blob_tags(), {"a": "1"}))[1])
check("set tags to none", lambda: (blob.set_blob_tags(), equal(blob.get_blob_tags(), {}))[1])
check("a write without tags takes them away", lambda: (
    blob.set_blob_tags(TAGS), blob.upload_blob(b"y", overwrite=True), equal(blob.get_blob_tags(), {}))[2])
check("metadata leaves them", lambda: (
    blob.set_blob_tags(TAGS), blob.set_blob_metadata({"a": "1"}), equal(blob.get_blob_tags(), TAGS))[2])
check("ten tags, and long ones", lambda: (
    blob.set_blob_tags({str(i) + "n" * 127: "v" * 256 for i in range(10)}), equal(len(blob.get_blob_tags()), 10))[1])
check("eleven tags", lambda: refused(
    HttpResponseError, None, lambda: blob.set_blob_tags({str(i): "v" for i in range(11)}), status=400))
check("a name too long", lambda: refused(HttpResponseError, None, lambda: blob.set_blob_tags({"n" * 129: "v"}), status=400))
check("a value too long", lambda: refused(HttpResponseError, None, lambda: blob.set_blob_tags({"n": "v" * 257}), status=400))
check("a character that is not allowed", lambda: refused(
    HttpResponseError, None, lambda: blob.upload_blob(b"x", overwrite=True, tags={"camera": "a,b"}), status=400))
check("a body that is no list of tags: InvalidXmlDocument", lambda: equal(
    plain("PUT", f"{name}/tagged.mp4", "comp=tags", body=b"<Tags><Tag/></Tags>").code, "InvalidXmlDocument"))
check("condition on tags that holds", lambda: (
    blob.set_blob_tags(TAGS), blob.set_blob_metadata({"a": "2"}, if_tags_match_condition="\"camera\"='cam 1'"))[1]["etag"] != "")
check("condition on tags that does not: ConditionNotMet", lambda: refused(
    ResourceModifiedError, "ConditionNotMet", lambda: blob.set_blob_metadata(
        {"a": "3"}, if_tags_match_condition="\"camera\"='cam2'")))
check("condition on tags of a read", lambda: refused(
    HttpResponseError, "ConditionNotMet", lambda: blob.download_blob(if_tags_match_condition="\"camera\"='cam2'"), status=412))
check("tags of an absent blob: BlobNotFound", lambda: refused(
    ResourceNotFoundError, "BlobNotFound", container.get_blob_client("none").get_blob_tags))
check("signature with the right to tags", lambda: (
    by_signature(write=True, tag=True).upload_blob(b"x", overwrite=True, tags=OTHER),
    equal(by_signature(tag=True).get_blob_tags(), OTHER))[1])
check("signature without it: AuthorizationPermissionMismatch", lambda: refused(
    HttpResponseError, "AuthorizationPermissionMismatch", by_signature(read=True, write=True).get_blob_tags))
check("signature without it: not with a write either", lambda: refused(
    HttpResponseError, "AuthorizationPermissionMismatch",
    lambda: by_signature(write=True).upload_blob(b"x", overwrite=True, tags=TAGS)))
check("tags by a version that has none", lambda: refused(
    HttpResponseError, None, tags_of_another_version("2019-10-10").get_blob_tags, status=400))
check("tags by the first version that has them", lambda: equal(tags_of_another_version("2019-12-12").get_blob_tags(), OTHER))
