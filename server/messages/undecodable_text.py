"""Requests with texts that are not UTF-8, such as CP949 from a stub that does not check: their other products are read.

Messages of the same numbers, in which every text is bytes, parse what the contract's own refuse.
"""

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import DecodeError, Message

from aisle_client.v1 import classifier_pb2
from server.errors import NOT_UTF8, RequestError, malformed_error

_PACKAGE = "aisle.bytes.v1"
_FIELD = descriptor_pb2.FieldDescriptorProto


def parse_without_bad_texts(content: bytes) -> tuple[classifier_pb2.ClassifyRequest, dict[int, str]]:
    """Parse a request and leave out the texts of products that are not UTF-8.

    Returns:
        the request without these, and the first such field of each product that has one, by its position.
    Raises:
        RequestError: it is no message of the contract, or a text outside of its products is not UTF-8.
    """
    message = _parse("ClassifyRequest", content)
    if bad := _clear_bad_texts(message):
        raise RequestError([(field, NOT_UTF8) for field in bad])
    not_utf8: dict[int, str] = {}
    for i, product in enumerate(message.products):
        if bad := _clear_bad_texts(product):
            not_utf8[i] = bad[0]
    return classifier_pb2.ClassifyRequest.FromString(message.SerializeToString()), not_utf8


def _parse(name: str, content: bytes) -> Any:
    try:
        return bytes_class(name).FromString(content)
    except DecodeError:
        raise malformed_error() from None


def _clear_bad_texts(message: Message) -> list[str]:
    """Clear the fields of a message that are texts in the contract and not UTF-8; return their names."""
    texts = classifier_pb2.DESCRIPTOR.message_types_by_name[message.DESCRIPTOR.name].fields
    bad = []
    for field in texts:
        if field.type == field.TYPE_STRING:
            try:
                getattr(message, field.name).decode()
            except UnicodeDecodeError:
                message.ClearField(field.name)
                bad.append(field.name)
    return bad


@cache
def bytes_class(name: str) -> type[Message]:
    """The class of a message of the contract, with bytes in the place of every text."""
    file = descriptor_pb2.FileDescriptorProto()
    classifier_pb2.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = f"{_PACKAGE}.proto", _PACKAGE
    del file.service[:]
    own = f".{classifier_pb2.DESCRIPTOR.package}."
    for message in file.message_type:
        for nested in (message, *message.nested_type):
            for field in nested.field:
                if field.type_name:
                    field.type_name = field.type_name.replace(own, f".{_PACKAGE}.")
                elif field.type == _FIELD.TYPE_STRING and not nested.options.map_entry:  # keys of maps are texts
                    field.type = _FIELD.TYPE_BYTES
    pool = descriptor_pool.DescriptorPool()
    _add_dependencies(pool, classifier_pb2.DESCRIPTOR)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def _add_dependencies(pool: descriptor_pool.DescriptorPool, file: FileDescriptor) -> None:
    for dependency in file.dependencies:
        _add_dependencies(pool, dependency)
        copy = descriptor_pb2.FileDescriptorProto()
        dependency.CopyToProto(copy)
        pool.Add(copy)
