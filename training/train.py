"""`training train`: a catalog in, a bundle out."""

import dataclasses
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import keras

from catalog.rows import read_catalog
from model.bundle.writing import BundleContents, check_bundle_target, write_bundle
from model.bundle_files import FILES
from model.engines.export import write_programs
from model.network.classifier import build_classifier
from model.product import FIELDS
from model.settings import Settings, settings_to_dict
from training.ensemble.assembly import AssembledModel, assemble
from training.network.batches import CatalogBatches
from training.network.fit import fit
from training.network.optimization import head_loss_weights, over_logits
from training.network.train_state import TrainState
from training.preparation import Catalogs, Preparation, Prepared
from training.report.model_card import model_card

_log = logging.getLogger("aisle.train")


@dataclass(frozen=True)
class TrainJob:
    """Inputs of a training, and the place of its result.

    Args:
        columns: our column name to the files' heading.
        taxonomy: the shop's tree, or None for what the labels span.
        work_dir: state, rejects and TensorBoard logs.
        cache_dir: tokenizers, encoded catalogs, picture features; shared by all runs.
    """

    train: Path
    val: Path
    bundle: Path
    columns: dict[str, str]
    taxonomy: Path | None
    work_dir: Path
    cache_dir: Path
    resume: bool


def train(job: TrainJob, settings: Settings) -> dict:
    """Train, calibrate, export and write the bundle.

    Returns:
        the validation metrics stored in it.
    Raises:
        AisleError: see `model/errors.py`; finished work is kept.
    """
    check_bundle_target(job.bundle)
    next(read_catalog(job.val, job.columns, chunk_rows=1), None)  # a file that cannot be read ends it before the work
    job.work_dir.mkdir(parents=True, exist_ok=True)
    preparation = Preparation(
        Catalogs(job.train, job.val, job.columns, job.taxonomy), work_dir=job.work_dir, cache_dir=job.cache_dir
    )
    tree, fields = preparation.labels.taxonomy, ", ".join(preparation.catalog_fields)
    num_rows = preparation.train.statistics.num_rows, preparation.val.statistics.num_rows
    _log.info("%d rows to train on, %d to validate on", *num_rows)
    _log.info("fields: %s; %d categories in %d levels", fields, tree.num_leaves, tree.depth)
    prepared = preparation.prepare(settings)
    trained, classifier, batches = build_network(prepared, settings)
    state = TrainState(job.work_dir / "state", run_key(settings, prepared))
    logs = keras.callbacks.TensorBoard(job.work_dir / "tensorboard", write_graph=False)
    loss_weights = head_loss_weights(prepared.shape.heads, settings)
    progress = fit(trained, loss_weights, batches, settings.training, state, job.resume, [logs])
    assembled = assemble(trained, classifier, prepared, batches[1], settings)
    contents = _contents(assembled, prepared, settings, progress.history)
    write_bundle(
        job.bundle,
        contents,
        prepared.tokenizer,
        lambda folder: _write_model(folder, assembled, prepared),
    )
    return contents.metrics


def _write_model(folder: Path, assembled: AssembledModel, prepared: Prepared) -> None:
    if assembled.neighbors is not None:
        assembled.neighbors.save(folder / FILES.neighbors)
    write_programs(folder, assembled.classifier, prepared.image_encoder)


def build_network(
    prepared: Prepared, settings: Settings
) -> tuple[keras.Model, keras.Model, tuple[CatalogBatches, CatalogBatches]]:
    """The model to train, the classifier inside it, and the batches for training and validation."""
    shape, training = prepared.shape, settings.training
    classifier = build_classifier(shape, settings.model, settings.fields, prepared.tokenizer, training.seed)
    batches = (
        CatalogBatches(prepared.train, shape, training.batch_size, shuffle_seed=training.seed),
        CatalogBatches(prepared.val, shape, training.batch_size),
    )
    return over_logits(classifier), classifier, batches


def run_key(settings: Settings, prepared: Prepared) -> str:
    """Digest of all that a resumed run must share with the interrupted one."""
    digests = [prepared.train.digest, prepared.val.digest]
    values = settings_to_dict(settings)
    # These shape what comes after the network.
    del values["linear"], values["neighbors"]
    del values["training"]["precision_target"], values["training"]["precision_confidence"]
    parts = [values, dataclasses.asdict(prepared.shape), digests, FIELDS, keras.backend.backend()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _contents(
    assembled: AssembledModel, prepared: Prepared, settings: Settings, history: list[dict[str, float]]
) -> BundleContents:
    shape, metrics = prepared.shape, {**assembled.metrics, "rejects": prepared.val.num_rejects}
    contents = BundleContents(
        settings,
        prepared.labels.taxonomy,
        assembled.calibration,
        shape.fields,
        assembled.heads,
        shape.image_feature_dim,
        metrics,
        history,
        "",
    )
    return dataclasses.replace(contents, model_card=model_card(contents, len(prepared.train), len(prepared.val)))
