"""Helpers of the search's tests: its messages, and what the right answers are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import search_pb2, search_pb2_grpc
from model.product import Product
from retrieval.embedding.embedder import Embedder
from retrieval.index.record import Space
from tests.server.support import violations

SearchStub = search_pb2_grpc.ProductSearchStub

NUM_PRODUCTS = 36
READ_TOKEN, WRITE_TOKEN = "read-token-0123456789", "write-token-0123456789"
IMAGE, TEXT, JOINT = search_pb2.SPACE_IMAGE, search_pb2.SPACE_TEXT, search_pb2.SPACE_JOINT
#: Vectors are stored in halves.
ROUNDING = 2e-3


@dataclass(frozen=True)
class Shop:
    """A catalog and its rows, with the pictures in its folder."""

    catalog: Path
    rows: Sequence[dict[str, str]]

    def message(self, product_id: str) -> pb.Product:
        """A product as a caller sends it."""
        row = self._row(product_id)
        texts = {name: row.get(name, "") for name in ("product_id", "product_name", "mall_category", "brand", "maker")}
        return pb.Product(**texts, image=self.picture(product_id))

    def picture(self, product_id: str) -> bytes:
        """Its picture; empty where it has none."""
        name = self._row(product_id).get("image")
        return (self.catalog.parent / name).read_bytes() if name else b""

    def ids(self, meets: Callable[[dict[str, str]], bool]) -> set[str]:
        """Products whose rows meet a condition."""
        return {row["product_id"] for row in self.rows if meets(row)}

    def scores(self, embedder: Embedder, asked: pb.Product, space: Space) -> dict[str, float]:
        """The right scores of the products that have a vector in a space."""
        products = [_record(self.message(row["product_id"])) for row in self.rows]
        [query], vectors = embedder.embed([_record(asked)], (space,)), embedder.embed(products, (space,))
        assert isinstance(query, dict)
        return {
            product.product_id: float(found[space] @ query[space])
            for product, found in zip(products, vectors, strict=True)
            if isinstance(found, dict)
        }

    def _row(self, product_id: str) -> dict[str, str]:
        return next(row for row in self.rows if row["product_id"] == product_id)


def by_id(product_id: str) -> search_pb2.SimilarQuery:
    return search_pb2.SimilarQuery(product_id=product_id)


def by_product(group_id: str = "", **fields: Any) -> search_pb2.SimilarQuery:
    return search_pb2.SimilarQuery(product=pb.Product(**fields), group_id=group_id)


def similar(stub: SearchStub, *queries: search_pb2.SimilarQuery, **options: Any) -> search_pb2.SimilarResponse:
    return stub.Similar(search_pb2.SimilarRequest(queries=queries, **options), timeout=30)


def hits_of(stub: SearchStub, query: search_pb2.SimilarQuery, **options: Any) -> list[str]:
    """Ids of the hits of one query, best first."""
    [result] = similar(stub, query, **options).results
    assert result.HasField("hits"), result.error.message
    return [hit.product_id for hit in result.hits.hits]


def offer(product_id: str, name: str = "", picture: bytes = b"", **attributes: Any) -> search_pb2.Offer:
    product = pb.Product(product_id=product_id, product_name=name, image=picture)
    return search_pb2.Offer(product=product, **attributes)


def upsert(stub: SearchStub, *offers: search_pb2.Offer, token: str = WRITE_TOKEN) -> search_pb2.UpsertResponse:
    return stub.Upsert(search_pb2.UpsertRequest(offers=offers), timeout=30, metadata=with_token(token))


def delete(stub: SearchStub, *product_ids: str, token: str = WRITE_TOKEN) -> int:
    request = search_pb2.DeleteRequest(product_ids=product_ids)
    return stub.Delete(request, timeout=30, metadata=with_token(token)).num_deleted


def get_index(stub: SearchStub, token: str = "") -> search_pb2.GetIndexResponse:
    return stub.GetIndex(search_pb2.GetIndexRequest(), timeout=30, metadata=with_token(token))


def with_token(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


def problem(status: status_pb2.Status) -> tuple[int, list[str], str]:
    """Code, fields of the BadRequest and text of a status."""
    return status.code, violations(status), status.message


def rejected(call: Callable[[], object]) -> status_pb2.Status:
    """The status of a call that is refused as a whole."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = rpc_status.from_call(caught.value)
    assert status is not None, caught.value
    return status


def _record(message: pb.Product) -> Product:
    texts = {name: getattr(message, name) for name in ("product_name", "mall_category", "brand", "maker")}
    return Product(message.product_id, **texts, image=message.image or None)
