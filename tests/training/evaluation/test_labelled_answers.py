"""Answers with labels, chunk by chunk."""

import unicodedata
from pathlib import Path

import numpy as np

from catalog.labels.label_space import LabelSpace
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.predictor import Predictor
from tests.conftest import TOY_SHOP, toy_rows, write_catalog
from training.evaluation.labelled_answers import labelled_answers
from training.predict.answered_catalog import CatalogSource


def test_only_labelled_rows_are_returned_each_with_its_own_data(toy_bundle: Path, tmp_path: Path) -> None:
    """Check 12 rows in chunks of 4; the second chunk has no label at all, nor have rows 1 and 10."""
    predictor = Predictor.open(toy_bundle)
    taxonomy = predictor.bundle.taxonomy
    rows = toy_rows(tmp_path, "l", 12)
    for i in (1, 4, 5, 6, 7, 10):
        rows[i]["category"] = "식품"
    rows[2]["category"] = unicodedata.normalize("NFD", rows[2]["category"])
    catalog = CatalogSource(write_catalog(tmp_path / "shop.csv", rows), ReadOptions(), tmp_path / "cache", chunk_rows=4)
    rejects = Rejects(None)
    chunks = list(labelled_answers(predictor, catalog, LabelSpace(taxonomy, "tree"), rejects, top_k=1))
    assert [[row.product_id for row in chunk.rows] for chunk, _ in chunks] == [["l0", "l2", "l3"], ["l8", "l9", "l11"]]
    assert rejects.counts_by_reason == {"unknown label": 6}
    for chunk, classes in chunks:
        positions = [int(row.product_id[1:]) for row in chunk.rows]
        assert [taxonomy.leaves[found] for found in classes] == [list(TOY_SHOP)[i % 3] for i in positions]
        has_picture = [bool(i % 4) for i in positions]
        assert sorted(chunk.pixels) == np.flatnonzero(has_picture).tolist()
        flags = chunk.features["presence"][:, predictor.bundle.fields.index("image")]
        assert flags.tolist() == [float(flag) for flag in has_picture]
        np.testing.assert_array_equal(chunk.answers.top_classes[:, 0], chunk.outputs["joint_logits"].argmax(axis=1))
