import json
from dataclasses import replace
from typing import Any

import pytest

from model.errors import VectorIndexError
from retrieval.index.description import INDEX_FORMAT_VERSION, IndexDescription
from tests.retrieval.support import describe

DESCRIPTION = replace(
    describe("hnsw", {"text": 4, "image": 8}, recall=0.9, power_safe=True), bundle_dir="/묶음/1", crop="middle"
)


def test_it_is_the_same_after_json() -> None:
    values = json.loads(json.dumps(DESCRIPTION.to_dict()))
    assert values["format_version"] == INDEX_FORMAT_VERSION
    read = IndexDescription.from_dict(values, "index.json")
    assert read == DESCRIPTION
    assert list(read.dims) == ["text", "image"]


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_format_is_refused(version: int) -> None:
    values = {"format_version": version, "of": "the future"}
    message = f"shop/index.json has format {version}, this program reads format 1; build the index again"
    with pytest.raises(VectorIndexError, match=message):
        IndexDescription.from_dict(values, "shop/index.json")


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": None},
        {"engine": "faiss"},
        {"dims": {"sound": 8}},
        {"dims": None},
        {"dims": ["image"]},
        {"dims": {"image": "8"}},
        {"settings": {"recall": 2}},
        {"settings": None},
        {"settings": {"unknown": 1}},
        {"unknown": 1},
    ],
)
def test_a_damaged_one_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(VectorIndexError, match=r"shop/index\.json is damaged: .*; build the index again"):
        IndexDescription.from_dict(DESCRIPTION.to_dict() | change, "shop/index.json")


@pytest.mark.parametrize("name", ["engine", "dims", "settings", "embedding_checksum"])
def test_one_that_lacks_a_value_is_refused(name: str) -> None:
    values = DESCRIPTION.to_dict()
    del values[name]
    with pytest.raises(VectorIndexError, match=f"index.json is damaged: .*{name}.*; build the index again"):
        IndexDescription.from_dict(values, "index.json")


@pytest.mark.parametrize("values", [None, [], "text", 1, {}])
def test_something_else_is_refused(values: Any) -> None:
    with pytest.raises(VectorIndexError, match=r"index\.json is damaged: .*; build the index again"):
        IndexDescription.from_dict(values, "index.json")
