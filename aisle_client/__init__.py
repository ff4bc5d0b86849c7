"""A thin client of an Aisle server, synchronous and asyncio, and the stubs of its contract in `aisle_client.v1`.

    from aisle_client import AisleClient, Product

    with AisleClient("localhost:50051") as client:
        client.classify([Product("1", "wireless mouse")])
        client.similar(["1", Product("2", "wireless keyboard")], k=5)

Needs grpcio and protobuf only.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle_client.async_client import AsyncAisleClient as AsyncAisleClient
    from aisle_client.channel import Security as Security
    from aisle_client.client import AisleClient as AisleClient
    from aisle_client.errors import CallError as CallError
    from aisle_client.errors import ClientError as ClientError
    from aisle_client.errors import InputError as InputError
    from aisle_client.hits import Hit as Hit
    from aisle_client.hits import Hits as Hits
    from aisle_client.offer import Offer as Offer
    from aisle_client.pair_answer import PairAnswer as PairAnswer
    from aisle_client.prediction import Failure as Failure
    from aisle_client.prediction import Prediction as Prediction
    from aisle_client.prediction import ScoredCategory as ScoredCategory
    from aisle_client.prediction import WordSupport as WordSupport
    from aisle_client.product import Product as Product
    from aisle_client.product import ProductLike as ProductLike
    from aisle_client.retry import NO_RETRY as NO_RETRY
    from aisle_client.retry import RetryPolicy as RetryPolicy
    from aisle_client.search_filter import SearchFilter as SearchFilter

_NAMES = {
    "async_client": ("AsyncAisleClient",),
    "channel": ("Security",),
    "client": ("AisleClient",),
    "errors": ("CallError", "ClientError", "InputError"),
    "hits": ("Hit", "Hits"),
    "offer": ("Offer",),
    "pair_answer": ("PairAnswer",),
    "prediction": ("Failure", "Prediction", "ScoredCategory", "WordSupport"),
    "product": ("Product", "ProductLike"),
    "retry": ("NO_RETRY", "RetryPolicy"),
    "search_filter": ("SearchFilter",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: who reads the contract's messages alone loads no gRPC."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
