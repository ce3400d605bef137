"""Checks a Blob endpoint with two clients that are not ours: the official Python SDK and rclone. Each file of checks runs when it is
imported, in this order, on one container.

Called by `run`, which says how the endpoint is given. Ends with a line "N passed, N failed"; exit status 1 if any failed.
"""
import sys

from azure.core.exceptions import ResourceNotFoundError

import checks_basic  # noqa: F401
import checks_tags  # noqa: F401
import checks_leases  # noqa: F401
import checks_rclone  # noqa: F401
import checks_commands
from endpoint import check, check_ours, container, counts, refused

check("delete container", container.delete_container)
check("its blobs are gone", lambda: refused(
    ResourceNotFoundError, "ContainerNotFound", container.get_blob_client("a").get_blob_properties))
check_ours("every operation of the server was asked and done", checks_commands.every_operation_was_asked)
if counts["skipped"]:
    print(f"{counts['skipped']} skipped: this endpoint cannot be told to fail, to be busy, or to take tokens of ours")
print(f"{counts['passed']} passed, {counts['failed']} failed")
sys.exit(1 if counts["failed"] else 0)
