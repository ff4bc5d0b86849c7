"""`training train`: a catalog in, a bundle out."""

import dataclasses
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from model.answer import answer, softmax
from model.bundle import BundleContents, check_bundle_target, write_bundle
from model.classifier import ClassifierShape, build_classifier, field_positions
from model.errors import TrainingError
from model.export import write_programs
from model.image_encoder import build_image_encoder
from model.product import FIELDS
from model.settings import Settings, settings_to_dict
from model.taxonomy import Taxonomy
from training.batches import CatalogBatches
from training.calibrate import calibrate
from training.catalog import read_catalog
from training.encoded_catalog import CatalogEncoder, EncodedCatalog
from training.fit import fit
from training.labels import read_labels
from training.metrics import evaluation_metrics
from training.model_card import model_card
from training.network import join_programs
from training.outcomes import Outcomes
from training.picture_encoding import PictureEncoder
from training.survey import survey_fields
from training.train_state import TrainState
from training.word_store import fitted_tokenizer

_log = logging.getLogger("aisle.train")


@dataclass(frozen=True)
class TrainJob:
    """What to train on and where to put the result.

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
    next(read_catalog(job.val, job.columns, chunk_rows=1), None)  # what cannot be read is told before the work
    job.work_dir.mkdir(parents=True, exist_ok=True)
    seed = settings.training.seed
    fields = survey_fields(job.train, job.columns)
    labels = read_labels(job.train, job.columns, job.taxonomy)
    tree = labels.taxonomy
    _log.info("fields: %s; %d categories in %d levels", ", ".join(fields), tree.num_leaves, tree.depth)
    tokenizer, tokenizer_dir = fitted_tokenizer(job.train, job.columns, fields, settings.tokenizer, seed, job.cache_dir)
    image_encoder = build_image_encoder(settings.image, seed) if "image" in fields else None
    keep_pixels = image_encoder is not None and settings.image.finetune_layers != 0
    frozen = image_encoder if not keep_pixels else None
    pictures = PictureEncoder(frozen, settings.image, job.cache_dir) if frozen is not None else None
    encoder = CatalogEncoder(
        tokenizer, tokenizer_dir, labels, job.columns, fields, settings.image, pictures, keep_pixels, job.cache_dir
    )
    catalogs = tuple(
        encoder.encode(path, job.work_dir / f"rejects-{split}.csv")
        for split, path in (("train", job.train), ("val", job.val))
    )
    for catalog, path in zip(catalogs, (job.train, job.val), strict=True):
        if not len(catalog):
            raise TrainingError(f"{path} has no usable row; the reasons are in {job.work_dir}/rejects-*.csv")
    width = image_encoder.outputs[0].shape[-1] if image_encoder is not None else 0
    shape = ClassifierShape(fields, labels.taxonomy.num_leaves, width)
    classifier = build_classifier(shape, settings.model, tokenizer, seed)
    trained = join_programs(classifier, image_encoder, settings)
    batches = (
        CatalogBatches(catalogs[0], shape, settings.training.batch_size, shuffle_seed=seed),
        CatalogBatches(catalogs[1], shape, settings.training.batch_size),
    )
    state = TrainState(job.work_dir / "state", _run_key(settings, catalogs, shape))
    progress = fit(trained, shape, batches, settings, state, job.resume, job.work_dir / "tensorboard")
    contents = _contents(trained, shape, batches[1], settings, labels.taxonomy, progress.history, catalogs)
    write_bundle(job.bundle, contents, tokenizer, lambda folder: write_programs(folder, classifier, image_encoder))
    return contents.metrics


def _contents(
    trained: keras.Model,
    shape: ClassifierShape,
    val: CatalogBatches,
    settings: Settings,
    taxonomy: Taxonomy,
    history: list[dict[str, float]],
    catalogs: tuple[EncodedCatalog, ...],
) -> BundleContents:
    """Calibrate and measure on the validation split."""
    logits = {name.removesuffix("_logits"): values for name, values in trained.predict(val, verbose=0).items()}
    labels = np.asarray(val.catalog.arrays["labels"])
    presence = np.asarray(val.catalog.arrays["presence"])[:, field_positions(shape.fields)]
    weights = {head: val.head_weight(np.asarray(val.catalog.arrays["presence"]), head) for head in shape.heads}
    calibration = calibrate(logits, labels, weights, taxonomy, settings.training)
    temperatures = {**calibration.head_temperatures, "joint": calibration.temperature}
    outcomes = {head: Outcomes.of(labels, softmax(values, temperatures[head])) for head, values in logits.items()}
    answers = answer(logits["joint"], taxonomy, calibration, top_k=5)
    metrics = evaluation_metrics(outcomes, answers, presence, shape.fields, taxonomy)
    metrics["rejects"] = catalogs[1].num_rejects
    contents = BundleContents(
        settings, taxonomy, calibration, shape.fields, shape.heads, shape.image_feature_dim, metrics, history, ""
    )
    return dataclasses.replace(contents, model_card=model_card(contents, len(catalogs[0]), len(catalogs[1])))


def _run_key(settings: Settings, catalogs: tuple[EncodedCatalog, ...], shape: ClassifierShape) -> str:
    """Digest of all that a resumed run must share with the interrupted one."""
    parts = [settings_to_dict(settings), dataclasses.asdict(shape), [catalog.digest for catalog in catalogs], FIELDS]
    return hashlib.sha256(json.dumps([*parts, keras.backend.backend()], sort_keys=True).encode()).hexdigest()
