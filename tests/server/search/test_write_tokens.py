"""Who may read and who may change an index, and servers that have none or let nobody change it."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc, search_pb2
from model.errors import SettingsError
from retrieval.commands.build_command import BuildCommand, run_build
from server.app import AisleServer
from server.search import SEARCH_SERVICE
from server.settings import ServerSettings
from tests.server.search.support import (
    JOINT,
    READ_TOKEN,
    TEXT,
    WRITE_TOKEN,
    SearchStub,
    Shop,
    by_id,
    by_product,
    delete,
    get_index,
    offer,
    problem,
    rejected,
    similar,
    upsert,
    with_token,
)
from tests.server.support import open_channel, scrape, toy_settings, values
from tests.tls import replace

CHANGES: list[Callable[[SearchStub, str], object]] = [
    lambda stub, token: upsert(stub, offer("new", "이름"), token=token),
    lambda stub, token: delete(stub, "p1", token=token),
]
NO_RIGHT = "expected the metadata 'authorization: Bearer TOKEN' with a token that may change the index"
UNKNOWN = "the metadata 'authorization' holds no token that this server knows; ask its operator for one"
MISSING = "expected the metadata 'authorization: Bearer TOKEN', found none"
READ_ONLY = "this server lets nobody change its index; its operator can start it with --write-token-file"
changes = pytest.mark.parametrize("change", CHANGES, ids=["Upsert", "Delete"])


def started(settings: ServerSettings) -> Iterator[AisleServer]:
    server = AisleServer(settings)
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture(scope="module")
def write_token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "write"
    path.write_text(f"{WRITE_TOKEN}\n")
    return path


@pytest.fixture(scope="module")
def server(
    search_settings: ServerSettings, token_files: tuple[Path, Path], write_token_file: Path
) -> Iterator[AisleServer]:
    """One that wants a token of every caller."""
    yield from started(
        dataclasses.replace(search_settings, token_file=token_files[0], write_token_file=write_token_file)
    )


def reason(status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason


@pytest.mark.parametrize("token", [READ_TOKEN, WRITE_TOKEN])
def test_either_token_reads(token: str, search: SearchStub, channel: grpc.Channel):
    request = search_pb2.SimilarRequest(queries=[by_id("p2")])
    assert search.Similar(request, timeout=30, metadata=with_token(token)).results[0].HasField("hits")
    assert get_index(search, token).is_writable
    classify = classifier_pb2_grpc.ProductClassifierStub(channel).Classify
    one = pb.ClassifyRequest(products=[{"product_name": "red shirt"}])
    assert len(classify(one, timeout=30, metadata=with_token(token)).classifications) == 1


@pytest.mark.parametrize(("token", "text"), [("", MISSING), ("wrong-token-0123456789", UNKNOWN)])
def test_other_callers_neither_read_nor_write(token: str, text: str, search: SearchStub):
    for call in (
        lambda: get_index(search, token),
        *(lambda change=change: change(search, token) for change in CHANGES),
    ):
        status = rejected(call)
        assert (status.code, status.message, reason(status)) == (code_pb2.UNAUTHENTICATED, text, "INVALID_TOKEN")


@changes
def test_a_token_that_reads_changes_nothing(change: Callable[[SearchStub, str], object], search: SearchStub):
    before = get_index(search, READ_TOKEN)
    status = rejected(lambda: change(search, READ_TOKEN))
    assert (status.code, status.message, reason(status)) == (code_pb2.PERMISSION_DENIED, NO_RIGHT, "NOT_ALLOWED")
    assert WRITE_TOKEN[:8] not in str(status)
    assert get_index(search, READ_TOKEN) == before
    assert change(search, WRITE_TOKEN)


def test_tokens_that_write_are_rotated_without_a_restart(search: SearchStub, write_token_file: Path):
    new = "newer-token-0123456789"
    assert rejected(lambda: delete(search, "no", token=new)).code == code_pb2.UNAUTHENTICATED
    replace(write_token_file, f"{new}\n".encode())
    assert delete(search, "no", token=new) == 0
    assert rejected(lambda: delete(search, "no")).code == code_pb2.UNAUTHENTICATED
    replace(write_token_file, f"{WRITE_TOKEN}\n".encode())
    assert delete(search, "no") == 0


@pytest.fixture(scope="module")
def read_only(
    toy_bundle: Path, shop: Shop, toy_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SearchStub]:
    """A server with an index of texts alone, which nobody may change and anybody may read."""
    index = tmp_path_factory.mktemp("texts") / "index"
    build = BuildCommand(toy_bundle, shop.catalog, str(index), "text", "exact", engine="openvino", cache_dir=toy_cache)
    run_build(build)
    for server in started(toy_settings(toy_bundle, index=str(index), max_batch_items=4, max_batch_images=2)):
        with open_channel(server) as channel:
            yield SearchStub(channel)


@changes
@pytest.mark.parametrize("token", ["", WRITE_TOKEN])
def test_without_a_file_of_tokens_nobody_writes(
    change: Callable[[SearchStub, str], object], token: str, read_only: SearchStub
):
    status = rejected(lambda: change(read_only, token))
    assert (status.code, status.message, reason(status)) == (code_pb2.PERMISSION_DENIED, READ_ONLY, "NOT_ALLOWED")


def test_an_index_that_nobody_may_change_says_so_and_is_searched(read_only: SearchStub):
    index = get_index(read_only)
    assert (index.is_writable, index.engine, [space.space for space in index.spaces]) == (False, "exact", [TEXT])
    found = similar(read_only, by_id("p1"), by_product(product_name="새 상품", image=b"not read")).results
    assert [result.hits.space for result in found] == [TEXT, TEXT]  # no picture is looked at


def test_a_space_that_the_index_has_not_is_an_invalid_request(read_only: SearchStub):
    status = rejected(lambda: similar(read_only, by_id("p1"), space=JOINT))
    assert problem(status) == (code_pb2.INVALID_ARGUMENT, ["space"], "space: expected SPACE_TEXT, found SPACE_JOINT")


@pytest.fixture(scope="module")
def without_index(toy_bundle: Path) -> Iterator[tuple[AisleServer, grpc.Channel]]:
    for server in started(toy_settings(toy_bundle, metrics_port=0, max_batch_items=4, max_batch_images=2)):
        with open_channel(server) as channel:
            yield server, channel


@pytest.mark.parametrize("method", ["Similar", "Upsert", "Delete", "GetIndex"])
def test_a_server_without_an_index_has_no_search(method: str, without_index: tuple[AisleServer, grpc.Channel]):
    call = without_index[1].unary_unary(f"/{SEARCH_SERVICE}/{method}")
    status = rejected(lambda: call(b"", timeout=30, metadata=with_token(WRITE_TOKEN)))
    assert (status.code, reason(status)) == (code_pb2.UNIMPLEMENTED, "UNKNOWN_METHOD")
    assert status.message.startswith("this server has no such method; server reflection")


def test_a_server_without_an_index_speaks_of_none(without_index: tuple[AisleServer, grpc.Channel]):
    server, channel = without_index
    with pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SEARCH_SERVICE), timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    [listed] = reflection.ServerReflectionInfo(iter([request]), timeout=30)
    assert SEARCH_SERVICE not in {service.name for service in listed.list_services_response.service}
    assert "aisle_index_products" not in {name for name, *_ in values(scrape(server))}


def test_tokens_that_write_without_an_index_are_a_mistake(toy_bundle: Path, write_token_file: Path):
    with pytest.raises(SettingsError, match="--write-token-file: expected --index beside it; it says who may change"):
        toy_settings(toy_bundle, write_token_file=write_token_file)
