"""Leases of blobs and containers, combinations of conditions, and service versions, by the official Python SDK."""
import hashlib
import uuid

from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobBlock, BlobLeaseClient, BlobServiceClient
from azure.storage.extensions.checksums import crc64

from endpoint import ENDPOINT, KEY, base64_text, check, container, equal, name, plain, refused, service

blob = container.get_blob_client("leased.bin")
A, B = str(uuid.uuid4()), str(uuid.uuid4())


def state(of=blob):
    lease = (of.get_blob_properties() if of is blob else of.get_container_properties()).lease
    return lease.status, lease.state, lease.duration


def broken_lease():
    lease = blob.acquire_lease(15)
    return lease, lease.break_lease(0)


def kept_out(code, body):
    return refused(HttpResponseError, code, body, status=412)


# Blobs
check("acquire a lease", lambda: (blob.upload_blob(b"x"), equal(blob.acquire_lease(60, A).id, A))[1])
check("its state", lambda: equal(state(), ("locked", "leased", "fixed")))
check("its state in a list", lambda: equal([b.lease.state for b in container.list_blobs("leased")], ["leased"]))
check("acquire by another: LeaseAlreadyPresent", lambda: refused(
    ResourceExistsError, "LeaseAlreadyPresent", lambda: blob.acquire_lease(15, B)))
check("acquire again by the same", lambda: equal(blob.acquire_lease(-1, A).id, A))
check("infinite", lambda: equal(state(), ("locked", "leased", "infinite")))
check("write without the lease: LeaseIdMissing", lambda: kept_out(
    "LeaseIdMissing", lambda: blob.upload_blob(b"y", overwrite=True)))
check("write with another: LeaseIdMismatchWithBlobOperation", lambda: kept_out(
    "LeaseIdMismatchWithBlobOperation", lambda: blob.upload_blob(b"y", overwrite=True, lease=B)))
check("write with it", lambda: (blob.upload_blob(b"y", overwrite=True, lease=A), equal(state()[1], "leased"))[1])
check("block and commit without it: LeaseIdMissing", lambda: (
    kept_out("LeaseIdMissing", lambda: blob.stage_block("0001", b"z")),
    blob.stage_block("0001", b"z", lease=A),
    kept_out("LeaseIdMissing", lambda: blob.commit_block_list([BlobBlock("0001")])),
    blob.commit_block_list([BlobBlock("0001")], lease=A))[3]["etag"] != "")
check("metadata, tags and properties without it: LeaseIdMissing", lambda: all([
    kept_out("LeaseIdMissing", lambda: blob.set_blob_metadata({"a": "1"})),
    kept_out("LeaseIdMissing", lambda: blob.set_blob_tags({"a": "1"})),
    kept_out("LeaseIdMissing", lambda: blob.set_http_headers())]))
check("delete without it: LeaseIdMissing", lambda: kept_out("LeaseIdMissing", blob.delete_blob))
check("read without it", lambda: equal(blob.download_blob().readall(), b"z"))
check("read with another: LeaseIdMismatchWithBlobOperation", lambda: kept_out(
    "LeaseIdMismatchWithBlobOperation", lambda: blob.download_blob(lease=B)))
check("renew", lambda: BlobLeaseClient(blob, A).renew() is None)
check("renew with another: LeaseIdMismatchWithLeaseOperation", lambda: refused(
    ResourceExistsError, "LeaseIdMismatchWithLeaseOperation", BlobLeaseClient(blob, B).renew))
check("change", lambda: (lambda lease: (lease.change(B), equal(lease.id, B))[1])(BlobLeaseClient(blob, A)))
check("release with the old: LeaseIdMismatchWithLeaseOperation", lambda: refused(
    ResourceExistsError, "LeaseIdMismatchWithLeaseOperation", BlobLeaseClient(blob, A).release))
check("release", lambda: (BlobLeaseClient(blob, B).release(), equal(state(), ("unlocked", "available", None)))[1])
check("write with what was released: LeaseNotPresentWithBlobOperation", lambda: kept_out(
    "LeaseNotPresentWithBlobOperation", lambda: blob.upload_blob(b"y", overwrite=True, lease=B)))
check("break at once", lambda: equal((broken_lease()[1], state()), (0, ("unlocked", "broken", None))))
check("renew what is broken: LeaseIsBrokenAndCannotBeRenewed", lambda: refused(
    ResourceExistsError, "LeaseIsBrokenAndCannotBeRenewed", broken_lease()[0].renew))
check("a write ends what is broken", lambda: (blob.upload_blob(b"y", overwrite=True), equal(state()[1], "available"))[1])
check("break later", lambda: (
    lambda lease: (equal(0 < lease.break_lease(10) <= 10, True), equal(state(), ("locked", "breaking", None)),
                   refused(ResourceExistsError, "LeaseAlreadyPresent", lambda: blob.acquire_lease(15)), lease.release())
)(blob.acquire_lease(60))[2])
check("break what is not there: LeaseNotPresentWithLeaseOperation", lambda: refused(
    ResourceExistsError, "LeaseNotPresentWithLeaseOperation", BlobLeaseClient(blob).break_lease))
check("a duration that is not allowed: InvalidHeaderValue", lambda: refused(
    HttpResponseError, "InvalidHeaderValue", lambda: blob.acquire_lease(5)))

# Containers
check("lease a container", lambda: (container.acquire_lease(60, A), equal(state(container), ("locked", "leased", "fixed")))[1])
check("its state in the list", lambda: equal([c.lease.state for c in service.list_containers(name)], ["leased"]))
check("delete it without the lease: LeaseIdMissing", lambda: kept_out("LeaseIdMissing", container.delete_container))
check("delete it with another: LeaseIdMismatchWithContainerOperation", lambda: kept_out(
    "LeaseIdMismatchWithContainerOperation", lambda: container.delete_container(lease=B)))
check("write to it all the same", lambda: container.upload_blob("in-leased", b"x", overwrite=True) is not None)
check("renew, change and release it", lambda: (
    lambda lease: (lease.renew(), lease.change(B), lease.release(), equal(state(container)[1], "available"))[3]
)(BlobLeaseClient(container, A)))

# Conditions that a client may and may not combine
etag = blob.get_blob_properties().etag
path = f"{name}/leased.bin"
check("If-None-Match * of a read: UnsatisfiableCondition", lambda: equal(
    plain("GET", path, headers={"If-None-Match": "*"}).code, "UnsatisfiableCondition"))
check("If-Match and If-None-Match of a write: MultipleConditionHeadersNotSupported", lambda: equal(
    plain("PUT", path, "comp=metadata", {"If-Match": etag, "If-None-Match": '"0x1"'}).code, "MultipleConditionHeadersNotSupported"))
check("If-Match decides over If-Unmodified-Since", lambda: equal(plain(
    "PUT", path, "comp=metadata", {"If-Match": etag, "If-Unmodified-Since": "Mon, 01 Jan 2018 00:00:00 GMT"}).status, 200))
check("an If-Match that is old: ConditionNotMet", lambda: equal(
    plain("PUT", path, "comp=metadata", {"If-Match": etag}).code, "ConditionNotMet"))
check("a date that is none: InvalidHeaderValue", lambda: equal(
    plain("PUT", path, "comp=metadata", {"If-Modified-Since": "yesterday"}).code, "InvalidHeaderValue"))

# Checksums in answers
BODY = b"123456789"
CRC = base64_text(crc64.compute(BODY, 0).to_bytes(8, "little"))
MD5 = base64_text(hashlib.md5(BODY).digest())


def sums(answer):
    equal(answer.status, 201)
    return answer.headers.get("Content-MD5"), answer.headers.get("x-ms-content-crc64")


def put(query, **headers):
    extra = {"x-ms-version": "2021-12-02", **{key.replace("_", "-"): value for key, value in headers.items()}}
    return plain("PUT", f"{name}/sums.bin", query, extra, BODY)


BLOCK = "comp=block&blockid=QUFB"
check("put block: CRC-64 unless MD5 was sent", lambda: equal(
    (sums(put(BLOCK)), sums(put(BLOCK, Content_MD5=MD5))), ((None, CRC), (MD5, None))))
check("put block with CRC-64", lambda: equal(sums(put(BLOCK, x_ms_content_crc64=CRC)), (None, CRC)))
check("put blob: both", lambda: equal(sums(put("", x_ms_blob_type="BlockBlob", x_ms_content_crc64=CRC)), (MD5, CRC)))
check("put blob: another CRC-64: Crc64Mismatch", lambda: equal(
    put("", x_ms_blob_type="BlockBlob", x_ms_content_crc64=base64_text(bytes(8))).code, "Crc64Mismatch"))
check("a CRC-64 of the wrong length: InvalidHeaderValue", lambda: equal(
    put(BLOCK, x_ms_content_crc64="AAAA").code, "InvalidHeaderValue"))
check("both checksums: BothCrc64AndMd5HeaderPresent", lambda: equal(
    put(BLOCK, x_ms_content_crc64=CRC, Content_MD5=MD5).code, "BothCrc64AndMd5HeaderPresent"))
check("put blob keeps its MD5", lambda: equal(plain("HEAD", f"{name}/sums.bin").headers["Content-MD5"], MD5))
check("put blob with another MD5 for its property: Md5Mismatch", lambda: equal(
    put("", x_ms_blob_type="BlockBlob", x_ms_blob_content_md5=base64_text(bytes(16))).code, "Md5Mismatch"))
check("commit keeps the MD5 that it is told", lambda: (
    blob.stage_block("0001", BODY), blob.commit_block_list(
        [BlobBlock("0001")], headers={"x-ms-blob-content-md5": MD5}),
    equal(base64_text(bytes(blob.get_blob_properties().content_settings.content_md5)), MD5))[2])
check("CRC-64 of a range", lambda: equal(
    plain("GET", f"{name}/sums.bin", headers={"x-ms-range": "bytes=0-8", "x-ms-range-get-content-crc64": "true",
                                              "x-ms-version": "2021-12-02"}).headers["x-ms-content-crc64"], CRC))

# Versions
check("the answer names the version that was asked for", lambda: equal(
    [plain("HEAD", f"{name}/sums.bin", headers={"x-ms-version": v}).headers["x-ms-version"] for v in ("2019-12-12", "2021-12-02")],
    ["2019-12-12", "2021-12-02"]))
check("a version that does not exist: InvalidHeaderValue", lambda: equal(
    plain("GET", f"{name}/sums.bin", headers={"x-ms-version": "2021-12-03"}).code, "InvalidHeaderValue"))
check("an old version gives MD5 of a block without being asked", lambda: equal(
    sums(put(BLOCK, x_ms_version="2018-11-09")), (MD5, None)))
check("get by the oldest version that the SDK speaks", lambda: equal(BlobServiceClient(
    ENDPOINT, credential=KEY, api_version="2019-02-02").get_blob_client(name, "sums.bin").download_blob().readall(), BODY))
check("get metadata alone", lambda: (
    blob.set_blob_metadata({"camera": "cam1"}),
    equal(plain("GET", path, "comp=metadata").headers["x-ms-meta-camera"], "cam1"))[1])
check("an operation that there is not", lambda: equal(plain("PUT", path, "comp=nonsense").status in (400, 501), True))
