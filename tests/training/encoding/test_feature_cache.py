"""Picture features on disk."""

from pathlib import Path

import numpy as np
import pytest

from training.encoding.feature_cache import FeatureCache

KEYS = [7, 2**64 - 1, 0, 12]


def features(keys: list[int]) -> np.ndarray:
    return np.array([[key % 1000, 1, 2] for key in keys], np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    cache = FeatureCache(tmp_path / "cache", 3)
    cache.append(KEYS[:2], features(KEYS[:2]))
    cache.append(KEYS[2:], features(KEYS[2:]))
    return cache


def check(cache: FeatureCache, keys: list[int]) -> None:
    rows = cache.rows(keys)
    assert (rows >= 0).all()
    np.testing.assert_array_equal(cache.features()[rows], features(keys))


def test_an_empty_cache_has_no_rows(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 3)
    assert len(cache) == 0
    assert cache.features().shape == (0, 3)
    np.testing.assert_array_equal(cache.rows([1, 0]), [-1, -1])
    assert cache.rows([]).shape == (0,)


def test_rows_of_known_and_unknown_keys(cache: FeatureCache) -> None:
    np.testing.assert_array_equal(cache.rows([12, 5, 7, 2**63, 0, 12]), [3, -1, 0, -1, 2, 3])
    check(cache, KEYS)


def test_reopening_finds_all_rows(cache: FeatureCache, tmp_path: Path) -> None:
    again = FeatureCache(tmp_path / "cache", 3)
    assert len(again) == 4
    check(again, KEYS)


def test_features_stay_valid_while_others_are_appended(cache: FeatureCache) -> None:
    before = cache.features()
    cache.append([99], features([99]))
    np.testing.assert_array_equal(before, features(KEYS))
    check(cache, [*KEYS, 99])


@pytest.mark.parametrize(("torn", "lost_bytes"), [("features.bin", 5), ("keys.bin", 3), ("features.bin", 12)])
def test_a_torn_write_costs_only_its_row(cache: FeatureCache, tmp_path: Path, torn: str, lost_bytes: int) -> None:
    path = tmp_path / "cache" / torn
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - lost_bytes)
    again = FeatureCache(tmp_path / "cache", 3)
    assert len(again) == 3
    np.testing.assert_array_equal(again.rows(KEYS), [0, 1, 2, -1])
    again.append([12, 13], features([12, 13]))
    check(again, [*KEYS, 13])
    check(FeatureCache(tmp_path / "cache", 3), [*KEYS, 13])


def test_features_without_keys_are_dropped(cache: FeatureCache, tmp_path: Path) -> None:
    with (tmp_path / "cache" / "features.bin").open("ab") as file:
        file.write(bytes(12 * 4))
    again = FeatureCache(tmp_path / "cache", 3)
    again.append([13], features([13]))
    check(again, [*KEYS, 13])


def test_two_writers_do_not_mix_up_their_rows(cache: FeatureCache, tmp_path: Path) -> None:
    other = FeatureCache(tmp_path / "cache", 3)
    cache.append([20, 21], features([20, 21]))
    other.append([30], features([30]))
    cache.append([22, 30], features([22, 30]))
    check(other, [*KEYS, 20, 21, 30])
    check(cache, [*KEYS, 20, 21, 30, 22])
    check(FeatureCache(tmp_path / "cache", 3), [*KEYS, 20, 21, 30, 22])


def test_a_key_is_the_picture_s_content() -> None:
    assert FeatureCache.key(b"a") == FeatureCache.key(b"a") != FeatureCache.key(b"b")
    assert 0 <= FeatureCache.key(b"") < 2**64
