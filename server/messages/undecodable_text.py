"""Requests with texts that are not UTF-8, such as CP949 from a stub that does not check: their other items are read.

Messages of the same numbers, in which every text is bytes, parse what the contract's own refuse.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.message import DecodeError, Message

from aisle_client.v1 import classifier_pb2, search_pb2
from server.errors import NOT_UTF8, RequestError, malformed_error

#: Files of the contract, each after those that it imports.
_CONTRACT = (classifier_pb2.DESCRIPTOR, search_pb2.DESCRIPTOR)
_PACKAGE = "aisle.bytes.v1"
_FIELD = descriptor_pb2.FieldDescriptorProto

MessageT = TypeVar("MessageT", bound=Message)


def parse_without_bad_texts(kind: type[MessageT], items: str, content: bytes) -> tuple[MessageT, dict[int, str]]:
    """Parse a request and leave out the texts of its items that are not UTF-8.

    Args:
        items: the field that holds the items.
    Returns:
        the request without these, and the path of the first such field in each item that has one, by its position.
    Raises:
        RequestError: it is no message of the contract, or a text outside of its items is not UTF-8.
    """
    message = _parse(kind.DESCRIPTOR.name, content)
    not_utf8: dict[int, str] = {}
    for i, item in enumerate(getattr(message, items)):
        if isinstance(item, Message) and (bad := list(_clear_bad_texts(item))):
            not_utf8[i] = bad[0]
    if bad := list(_clear_bad_texts(message)):
        raise RequestError([(path, NOT_UTF8) for path in bad])
    return kind.FromString(message.SerializeToString()), not_utf8


def _parse(name: str, content: bytes) -> Any:
    try:
        return bytes_class(name).FromString(content)
    except DecodeError:
        raise malformed_error() from None


def _clear_bad_texts(message: Message) -> Iterator[str]:
    """Clear the fields of a message that are texts in the contract and not UTF-8; yield their paths."""
    for field in _contract_fields(message.DESCRIPTOR.name):
        if field.type == field.TYPE_STRING:
            texts: Sequence[bytes] = _values(message, field)
            for i, text in enumerate(texts):
                try:
                    text.decode()
                except UnicodeDecodeError:
                    message.ClearField(field.name)
                    yield _path(field, i)
        elif field.type == field.TYPE_MESSAGE:
            for i, nested in enumerate(_values(message, field)):
                yield from (f"{_path(field, i)}.{path}" for path in _clear_bad_texts(nested))


def _contract_fields(name: str) -> Sequence[FieldDescriptor]:
    for file in _CONTRACT:
        if (message := file.message_types_by_name.get(name)) is not None:
            return list(message.fields)
    return ()  # of another package, such as google.rpc


def _values(message: Message, field: FieldDescriptor) -> list[Any]:
    if field.is_repeated:
        return list(getattr(message, field.name))
    if field.has_presence and not message.HasField(field.name):
        return []
    return [getattr(message, field.name)]


def _path(field: FieldDescriptor, index: int) -> str:
    return f"{field.name}[{index}]" if field.is_repeated else field.name


@cache
def bytes_class(name: str) -> type[Message]:
    """The class of a message of the contract, with bytes in the place of every text."""
    return message_factory.GetMessageClass(_bytes_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _bytes_pool() -> descriptor_pool.DescriptorPool:
    """The contract's files, with bytes in the place of every text."""
    pool = descriptor_pool.DescriptorPool()
    for file in _CONTRACT:
        _add_dependencies(pool, file)
        pool.Add(_with_bytes(file))
    return pool


def _with_bytes(contract: FileDescriptor) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto()
    contract.CopyToProto(file)
    own = {known.name: f"{_PACKAGE}.{known.name}" for known in _CONTRACT}
    file.name, file.package = own[contract.name], _PACKAGE
    file.dependency[:] = [own.get(name, name) for name in file.dependency]
    del file.service[:]
    package = f".{contract.package}."
    for message in file.message_type:
        for nested in (message, *message.nested_type):
            for field in nested.field:
                if field.type_name:
                    field.type_name = field.type_name.replace(package, f".{_PACKAGE}.")
                elif field.type == _FIELD.TYPE_STRING and not nested.options.map_entry:  # keys of maps are texts
                    field.type = _FIELD.TYPE_BYTES
    return file


def _add_dependencies(pool: descriptor_pool.DescriptorPool, file: FileDescriptor) -> None:
    for dependency in file.dependencies:
        if dependency not in _CONTRACT:
            _add_dependencies(pool, dependency)
            copy = descriptor_pb2.FileDescriptorProto()
            dependency.CopyToProto(copy)
            pool.Add(copy)
