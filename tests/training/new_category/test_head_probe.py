"""Rows that the heads look at; the rest is tested by what is added to a bundle."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.bundle.bundle import load_bundle
from model.engines.engine_choice import open_engine
from model.network.wider_classifier import load_classifier, widen_classifier
from model.prediction.answers import Prediction
from model.predictor import Predictor
from tests.conftest import TOY_SHOP
from training.new_category.head_probe import HeadProbe


def _without_scales(bundle_dir: Path) -> Predictor:
    """Open a bundle with one temperature for all sets of fields, and no prior mass, as the probe has it."""
    bundle = load_bundle(bundle_dir)
    formula = replace(bundle.calibration.formula, subset_temperatures={}, subset_prior_masses={}, prior_mass=0.0)
    return Predictor(replace(bundle, calibration=replace(bundle.calibration, formula=formula)), open_engine(bundle_dir))


def test_views_tell_what_the_network_says(toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path) -> None:
    bundle, num_old = load_bundle(toy_bundle), len(TOY_SHOP)
    wide = widen_classifier(load_classifier(toy_bundle), num_old, 2)
    probe = HeadProbe(bundle, wide, toy_cache)
    with Rejects(None) as rejects:
        rows = probe.probe(toy_catalogs[1], ReadOptions(), rejects, max_rows=1000)
        some = probe.probe(toy_catalogs[1], ReadOptions(), rejects, max_rows=10)
    assert len(rows) == 45
    assert set(rows.views) == {*bundle.heads} - {"linear", "neighbors"} | {
        *(f"joint:{field}" for field in bundle.fields)
    }
    joint = rows.views["joint"]
    assert (joint.best_old == [bundle.taxonomy.class_of(row.category) for row in rows.rows]).mean() > 0.9
    texts = [i for i, row in enumerate(rows.rows) if not row.image]
    products = [row.product(None) for row in (rows.rows[i] for i in texts)]
    answers = [one for one in _without_scales(toy_bundle).predict(products) if isinstance(one, Prediction)]
    served = [answer.categories[0].probability for answer in answers]  # by all heads, the neighbours among them
    np.testing.assert_allclose(np.exp(joint.best_old_logits - joint.old_scores)[texts], served, rtol=1e-3)
    only_names = rows.presence.sum(axis=1) == rows.presence[:, 0]
    np.testing.assert_allclose(joint.old_scores[only_names], rows.views["joint:name"].old_scores[only_names], rtol=1e-4)

    # of a larger catalog some are drawn, in the file's order
    assert len(some) == 10
    lines = [row.line for row in some.rows]
    assert lines == sorted(lines)
    kept = [i for i, row in enumerate(rows.rows) if row.line in lines]
    np.testing.assert_allclose(some.views["name"].inputs, rows.views["name"].take(np.array(kept)).inputs, rtol=1e-4)
