from pathlib import Path

import numpy as np
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from server.inference.feature_cache import FeatureCache
from server.settings import ServerSettings
from tests.server.support import toy_settings

ENTRY_BYTES = 16 + 4 * 4


def features(value: float) -> bytes:
    return np.full(4, value, np.float32).tobytes()


def test_a_cached_picture_has_its_features():
    cache = FeatureCache(10 * ENTRY_BYTES)
    cache.put(b"shirt", features(1))
    assert cache.get(b"shirt") == features(1)
    assert cache.get(b"shoe") is None
    assert cache.counts == {"hit": 1, "miss": 1}


def test_the_least_recently_used_are_evicted_and_the_limit_holds():
    cache = FeatureCache(2 * ENTRY_BYTES)
    cache.put(b"1", features(1))
    cache.put(b"2", features(2))
    assert cache.get(b"1") is not None
    cache.put(b"3", features(3))
    assert [cache.get(image) is None for image in (b"1", b"2", b"3")] == [False, True, False]
    assert cache.num_bytes == 2 * ENTRY_BYTES


def test_features_larger_than_the_cache_are_not_stored():
    cache = FeatureCache(ENTRY_BYTES - 1)
    cache.put(b"shirt", features(1))
    assert cache.get(b"shirt") is None
    assert cache.num_bytes == 0


def test_a_cache_that_is_off_counts_nothing():
    cache = FeatureCache(0)
    cache.put(b"shirt", features(1))
    assert cache.get(b"shirt") is None
    assert cache.counts == {"hit": 0, "miss": 0}


@pytest.fixture
def settings(toy_bundle: Path) -> ServerSettings:
    return toy_settings(toy_bundle, image_cache_bytes=100_000)


def test_a_served_picture_is_encoded_once_and_answered_the_same(fresh_server, fresh_stub, jpeg):
    request = pb.ClassifyRequest(products=[{"product_name": "red shirt", "image": jpeg}], include_embedding=True)
    pool = next(iter(fresh_server.models)).pool
    first, second = (fresh_stub.Classify(request, timeout=30) for _ in range(2))
    assert first.classifications == second.classifications
    assert pool.dispatcher.picture_batches.totals()[1] == 1
    assert (first.timings.decode_ms > 0, second.timings.decode_ms) == (True, 0)
    assert pool.feature_cache.counts == {"hit": 1, "miss": 1}


def test_a_broken_picture_is_never_cached(fresh_server, fresh_stub):
    request = pb.ClassifyRequest(products=[{"product_name": "red shirt", "image": b"no picture"}])
    for _ in range(2):
        assert fresh_stub.Classify(request, timeout=30).classifications[0].HasField("error")
    assert next(iter(fresh_server.models)).pool.feature_cache.counts == {"hit": 0, "miss": 2}
