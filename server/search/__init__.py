"""The service ProductSearch: an index, the model that it was made with, and the RPCs over both."""

from aisle_client.v1 import search_pb2

SEARCH_SERVICE = search_pb2.DESCRIPTOR.services_by_name["ProductSearch"].full_name
