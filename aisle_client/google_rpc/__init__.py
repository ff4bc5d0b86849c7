"""The status and its error details of `google.rpc`: from googleapis-common-protos where that is installed.

Without it, copies of our own. Never both in one process: protobuf refuses two versions of one message.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aisle_client.google_rpc.copies import error_details_pb2, status_pb2
else:
    try:
        from google.rpc import error_details_pb2, status_pb2
    except ImportError:
        from aisle_client.google_rpc.copies import error_details_pb2, status_pb2

__all__ = ["error_details_pb2", "status_pb2"]
