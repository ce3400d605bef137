"""Containers, blobs, blocks, checksums, conditions, signatures and lists, by the official Python SDK."""
import base64
import hashlib
import os

from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError)
from azure.storage.blob import (
    AccountSasPermissions, BlobBlock, BlobClient, BlobSasPermissions, BlobServiceClient, ContainerClient,
    ContainerSasPermissions, ContentSettings, ResourceTypes, generate_account_sas, generate_blob_sas,
    generate_container_sas)
from azure.storage.extensions.checksums import crc64

from endpoint import ACCOUNT, ENDPOINT, KEY, check, container, later, name, plain, refused, service

data = os.urandom(3_000_000)

# Containers
check("create container", lambda: container.create_container(metadata={"site": "plant1"}) and None)
check("create it again: ContainerAlreadyExists", lambda: refused(
    ResourceExistsError, "ContainerAlreadyExists", container.create_container))
check("container properties and metadata", lambda: container.get_container_properties().metadata == {"site": "plant1"})
check("set container metadata", lambda: (
    container.set_container_metadata({"site": "plant2"}),
    container.get_container_properties().metadata == {"site": "plant2"})[1])
check("list containers by prefix", lambda: [x.name for x in service.list_containers(name_starts_with=name)] == [name])
check("absent container: ContainerNotFound", lambda: refused(
    ResourceNotFoundError, "ContainerNotFound", service.get_container_client("sightglass-none").get_container_properties))
check("bad container name", lambda: refused(
    HttpResponseError, "InvalidResourceName", service.get_container_client("Upper_Case").create_container))

# A blob in one request
blob = container.get_blob_client("cam1/2026/seg 001+ü.mp4")
settings = ContentSettings(content_type="video/mp4", content_md5=bytearray(hashlib.md5(data).digest()))
check("put blob with MD5 and metadata", lambda: blob.upload_blob(
    data, overwrite=True, metadata={"camera": "cam1", "Mixed_Case": "x y"}, content_settings=settings)["etag"] != "")
check("get", lambda: blob.download_blob().readall() == data)
check("range", lambda: blob.download_blob(offset=100, length=50).readall() == data[100:150])
check("range with MD5 of the range", lambda: blob.download_blob(
    offset=7, length=1000, validate_content=True).readall() == data[7:1007])
check("range beyond the end: InvalidRange", lambda: refused(
    HttpResponseError, "InvalidRange", lambda: blob.download_blob(offset=len(data) + 1, length=5).readall()))
check("properties", lambda: (
    lambda p: p.size == len(data) and p.content_settings.content_type == "video/mp4"
    and p.content_settings.content_md5 == hashlib.md5(data).digest() and p.blob_type == "BlockBlob"
    and {k.lower(): v for k, v in p.metadata.items()} == {"camera": "cam1", "mixed_case": "x y"})(blob.get_blob_properties()))
check("set metadata", lambda: (blob.set_blob_metadata({"a_b": "1", "a2": "2", "ab": "3"}),
                               blob.get_blob_properties().metadata == {"a_b": "1", "a2": "2", "ab": "3"})[1])
check("set properties", lambda: (blob.set_http_headers(ContentSettings(content_type="video/quicktime")),
                                 blob.get_blob_properties().content_settings.content_type == "video/quicktime")[1])
check("empty blob", lambda: (container.upload_blob("empty", b""),
                             container.download_blob("empty").readall() == b"")[1])
check("absent blob: BlobNotFound", lambda: refused(
    ResourceNotFoundError, "BlobNotFound", container.get_blob_client("none").download_blob))
check("absent blob's properties", lambda: refused(
    ResourceNotFoundError, "BlobNotFound", container.get_blob_client("none").get_blob_properties))

# Checksums
raw = container.get_blob_client("sums.bin")._client.block_blob
check("put blob with another MD5: Md5Mismatch", lambda: refused(
    HttpResponseError, "Md5Mismatch", lambda: raw.upload(
        content_length=3, body=b"abc", transactional_content_md5=bytearray(16))))
check("put block with another MD5: Md5Mismatch", lambda: refused(
    HttpResponseError, "Md5Mismatch", lambda: raw.stage_block(
        block_id="AAAA", content_length=3, body=b"abc", transactional_content_md5=bytearray(16))))
check("put block with an MD5 of the wrong length: InvalidMd5", lambda: refused(
    HttpResponseError, "InvalidMd5", lambda: raw.stage_block(
        block_id="AAAA", content_length=3, body=b"abc", transactional_content_md5=bytearray(5))))
check("put block with CRC-64", lambda: raw.stage_block(
    block_id="AAAA", content_length=9, body=b"123456789",
    transactional_content_crc64=bytearray(crc64.compute(b"123456789", 0).to_bytes(8, "little"))))
check("put block with another CRC-64: Crc64Mismatch", lambda: refused(
    HttpResponseError, "Crc64Mismatch", lambda: raw.stage_block(
        block_id="AAAA", content_length=3, body=b"abc", transactional_content_crc64=bytearray(8))))

# Blocks
blocks = container.get_blob_client("blocks.bin")
ids = [f"{i:06d}" for i in range(4)]


def stage(chosen):
    for index in chosen:
        blocks.stage_block(ids[index], data[index * 700_000:(index + 1) * 700_000], validate_content=True)


def block_names(kind):
    committed, uncommitted = blocks.get_block_list(kind)
    return [(b.id, b.size) for b in committed], [(b.id, b.size) for b in uncommitted]


check("put blocks; uncommitted list", lambda: (
    stage(range(4)), block_names("uncommitted")[1] == [(i, 700_000) for i in ids])[1])
check("blob of uncommitted blocks is not there", lambda: refused(
    ResourceNotFoundError, "BlobNotFound", blocks.download_blob))
check("blob of uncommitted blocks in list only when asked", lambda: (
    "blocks.bin" not in [b.name for b in container.list_blobs()]
    and "blocks.bin" in [b.name for b in container.list_blobs(include=["uncommittedblobs"])]))
check("commit of an unknown block: InvalidBlockList", lambda: refused(
    HttpResponseError, "InvalidBlockList", lambda: blocks.commit_block_list([BlobBlock("999999")])))
check("commit", lambda: (blocks.commit_block_list([BlobBlock(i) for i in ids], metadata={"sha256": "x"}),
                         blocks.download_blob().readall() == data[:2_800_000])[1])
check("committed list", lambda: block_names("all") == ([(i, 700_000) for i in ids], []))
check("commit again with committed blocks in another order", lambda: (
    blocks.commit_block_list([BlobBlock(i) for i in reversed(ids[:2])]),
    blocks.download_blob().readall() == data[700_000:1_400_000] + data[:700_000])[1])
check("range over a block's border", lambda: blocks.download_blob(
    offset=699_990, length=20).readall() == data[1_399_990:1_400_000] + data[:10])
check("block id of another length: InvalidBlobOrBlock", lambda: refused(
    HttpResponseError, "InvalidBlobOrBlock", lambda: blocks.stage_block("1", b"x")))

# Conditions
check("If-None-Match * on a blob that is there: BlobAlreadyExists", lambda: refused(
    ResourceExistsError, "BlobAlreadyExists", lambda: blob.upload_blob(b"x", overwrite=False)))
check("If-Match of another ETag: ConditionNotMet", lambda: refused(
    ResourceModifiedError, "ConditionNotMet", lambda: blob.upload_blob(
        b"x", overwrite=True, etag='"0x8DEAD"', match_condition=MatchConditions.IfNotModified)))
check("If-Match of its ETag", lambda: blob.set_blob_metadata(
    {"a": "1"}, etag=blob.get_blob_properties().etag, match_condition=MatchConditions.IfNotModified)["etag"] != "")
check("read with If-None-Match of its ETag: not modified", lambda: refused(
    HttpResponseError, None, lambda: blob.download_blob(
        etag=blob.get_blob_properties().etag, match_condition=MatchConditions.IfModified)))
check("read with If-Modified-Since in the future: not modified", lambda: refused(
    HttpResponseError, None, lambda: blob.get_blob_properties(if_modified_since=later(1))))
check("write with If-Unmodified-Since in the past: ConditionNotMet", lambda: refused(
    ResourceModifiedError, "ConditionNotMet", lambda: blob.set_blob_metadata({"a": "1"}, if_unmodified_since=later(-1))))
check("commit with If-None-Match *: BlobAlreadyExists", lambda: refused(
    ResourceExistsError, "BlobAlreadyExists", lambda: blocks.commit_block_list(
        [BlobBlock(ids[0])], match_condition=MatchConditions.IfMissing)))

# Authorization
check("wrong key: AuthenticationFailed", lambda: refused(
    ClientAuthenticationError, "AuthenticationFailed", BlobServiceClient(
        ENDPOINT, credential=base64.b64encode(b"x" * 64).decode(), retry_total=0).get_container_client(name)
    .get_container_properties))
check("no credential", lambda: refused(
    HttpResponseError, None, ContainerClient(ENDPOINT, name, retry_total=0).get_container_properties))


def with_sas(token, path):
    return BlobClient.from_blob_url(f"{container.get_blob_client(path).url}?{token}", retry_total=0)


def blob_sas(path, hours=1, **rights):
    return with_sas(generate_blob_sas(ACCOUNT, name, path, account_key=KEY, permission=BlobSasPermissions(**rights),
                                      expiry=later(hours)), path)


def container_sas(path, **rights):
    return with_sas(generate_container_sas(ACCOUNT, name, account_key=KEY, permission=ContainerSasPermissions(**rights),
                                           expiry=later(1)), path)


check("blob SAS: read", lambda: blob_sas("blocks.bin", read=True).download_blob(offset=0, length=10).readall() != b"")
check("blob SAS of another blob", lambda: refused(
    ClientAuthenticationError, "AuthenticationFailed", lambda: with_sas(generate_blob_sas(
        ACCOUNT, name, "empty", account_key=KEY, permission=BlobSasPermissions(read=True), expiry=later(1)),
        "blocks.bin").download_blob()))
check("blob SAS: expired", lambda: refused(
    ClientAuthenticationError, "AuthenticationFailed", lambda: blob_sas("empty", hours=-1, read=True).download_blob()))
check("blob SAS: not yet valid", lambda: refused(
    ClientAuthenticationError, "AuthenticationFailed", lambda: with_sas(generate_blob_sas(
        ACCOUNT, name, "empty", account_key=KEY, permission=BlobSasPermissions(read=True), start=later(1),
        expiry=later(2)), "empty").download_blob()))
check("blob SAS: write with a right to read", lambda: refused(
    HttpResponseError, "AuthorizationPermissionMismatch", lambda: blob_sas("empty", read=True).upload_blob(
        b"x", overwrite=True)))
check("container SAS: create and write", lambda: container_sas("sas.bin", create=True, write=True).upload_blob(
    b"x")["etag"] != "")
check("container SAS: create only does not overwrite", lambda: refused(
    HttpResponseError, "AuthorizationPermissionMismatch", lambda: container_sas(
        "sas.bin", create=True).upload_blob(b"y", overwrite=True)))
check("container SAS: list", lambda: [b.name for b in ContainerClient.from_container_url(
    container.url + "?" + generate_container_sas(ACCOUNT, name, account_key=KEY, permission=ContainerSasPermissions(
        list=True), expiry=later(1))).list_blobs(name_starts_with="sas")] == ["sas.bin"])
account_sas = generate_account_sas(ACCOUNT, KEY, ResourceTypes(object=True), AccountSasPermissions(read=True), later(1))
check("account SAS: read", lambda: with_sas(account_sas, "sas.bin").download_blob().readall() == b"x")
check("account SAS: another type of resource", lambda: refused(
    HttpResponseError, "AuthorizationResourceTypeMismatch", ContainerClient.from_container_url(
        f"{container.url}?{account_sas}").get_container_properties))

# Lists
for index in range(7):
    container.upload_blob(f"list/{index // 3}/{index}", b"x", metadata={"n": str(index)})
listed = [f"list/{i // 3}/{i}" for i in range(7)]
check("list by prefix", lambda: [b.name for b in container.list_blobs(name_starts_with="list/")] == listed)
check("list in pages", lambda: [[b.name for b in page] for page in container.list_blobs(
    name_starts_with="list/", results_per_page=3).by_page()] == [listed[:3], listed[3:6], listed[6:]])
check("list with delimiter", lambda: [b.name for b in container.walk_blobs("list/", delimiter="/")] == [
    "list/0/", "list/1/", "list/2/"])
check("list with delimiter in pages", lambda: [[b.name for b in page] for page in container.walk_blobs(
    "list/", delimiter="/", results_per_page=2).by_page()] == [["list/0/", "list/1/"], ["list/2/"]])
check("list with metadata", lambda: [b.metadata["n"] for b in container.list_blobs(
    "list/", include=["metadata"])] == [str(i) for i in range(7)])
check("list shows the odd name unchanged", lambda: [b.name for b in container.list_blobs("cam1/")] == [blob.blob_name])

# Delete
check("delete", lambda: (container.delete_blob("empty"), refused(
    ResourceNotFoundError, "BlobNotFound", container.get_blob_client("empty").get_blob_properties))[1])
check("delete again: BlobNotFound", lambda: refused(
    ResourceNotFoundError, "BlobNotFound", lambda: container.delete_blob("empty")))
check("large blob by the SDK's own blocks", lambda: (
    lambda small: (small.upload_blob(data, overwrite=True), small.download_blob().readall() == data)[1])(BlobClient(
        ENDPOINT, name, "chunked", credential=KEY, max_single_put_size=1 << 20, max_block_size=1 << 20)))
