"""`training train`: a catalog in, a bundle out."""

import dataclasses
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from catalog.labels.label_space import LabelSpace, find_labels
from catalog.read_options import ReadOptions
from catalog.rows import read_catalog
from model.bundle.writing import BundleContents, check_bundle_target, write_bundle
from model.bundle_files import FILES
from model.engines.export import write_programs
from model.errors import SettingsError, TrainingError
from model.network.classifier import build_classifier
from model.product import FIELDS
from model.settings import Settings, settings_to_dict
from training.encoding.encoded_catalog import EncodedCatalog
from training.encoding.file_lock import exclusive_or_holder
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.ensemble.assembly import AssembledModel, assemble
from training.ensemble.calibration_rows import CalibrationSource, HeldOutRows
from training.ensemble.formula_fitting import NUM_FOLDS
from training.ensemble.out_of_fold import FoldAnswers, answers_key
from training.ensemble.trained_model import TrainedModel, fit_beside
from training.inspection.refusals import refuse_nothing_to_learn
from training.network.batches import CatalogBatches
from training.network.epoch_logs import EpochLogs
from training.network.fit import fit
from training.network.noise.choice import noise_method, training_settings
from training.network.noise.requirements import require_noise_rate
from training.network.optimization import head_loss_weights, over_logits
from training.network.train_state import TrainState
from training.preparation import Catalogs, Preparation, Prepared, chosen_fields
from training.report.model_card import model_card
from training.sampling.choice import check_sampling, require_columns
from training.sampling.months import in_window
from training.splitting.split import Split, split_one, split_two, too_few_to_promise

_log = logging.getLogger("aisle.train")


@dataclass(frozen=True)
class TrainJob:
    """Inputs of a training, and the place of its result.

    Args:
        catalog: one labelled file, which is split; or None.
        train, val: in its place a training and a validation file.
        read_options: how its file is read.
        taxonomy: the shop's tree, or None for what the labels span.
        work_dir: state, split, rejects and TensorBoard logs.
        cache_dir: tokenizers, encoded catalogs, picture features; shared by all runs.
    """

    catalog: Path | None
    train: Path | None
    val: Path | None
    bundle: Path
    read_options: ReadOptions
    taxonomy: Path | None
    work_dir: Path
    cache_dir: Path
    resume: bool

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files to read.

        Raises:
            SettingsError: neither one file nor two are named.
        """
        if self.catalog is not None and self.train is None and self.val is None:
            return (self.catalog,)
        if self.catalog is None and self.train is not None and self.val is not None:
            return self.train, self.val
        given = [f"--{name}" for name in ("catalog", "train", "val") if getattr(self, name) is not None]
        raise SettingsError(
            f"expected --catalog FILE, or --train FILE and --val FILE, found {' '.join(given) or 'none of them'}"
        )


def train(job: TrainJob, settings: Settings) -> dict:
    """Train, calibrate, export and write the bundle.

    Returns:
        the metrics stored in it, of rows that the model did not learn from.
    Raises:
        AisleError: see `model/errors.py`; finished work is kept.
    """
    check_bundle_target(job.bundle)
    require_noise_rate(settings.noise)
    check_sampling(settings)
    for path in job.paths:  # a file that cannot be read ends it before the work
        next(read_catalog(path, job.read_options, chunk_rows=1), None)
    with exclusive_or_holder(job.work_dir / "lock") as holder:
        if holder is not None:
            raise TrainingError(
                f"{job.work_dir} is in use by another training (process {holder}); wait for it, or give another"
                " --bundle"
            )
        return _train_alone(job, settings)


def _train_alone(job: TrainJob, settings: Settings) -> dict:
    """`train` while no other process uses the work folder."""
    parsed = [parse_catalog(path, job.read_options, job.cache_dir) for path in job.paths]
    require_columns(parsed[0], settings.sampling)
    parsed[0] = in_window(parsed[0], settings.sampling.window_months)
    labels = find_labels(parsed[0].statistics, job.taxonomy, job.read_options.separator)
    fields = parsed[0].statistics.frequent_fields()
    names, tree = ", ".join(fields), labels.taxonomy
    _log.info("fields: %s; %d categories in %d levels", names, tree.num_leaves, tree.depth)
    read = chosen_fields(fields, settings.model.fields)
    refuse_nothing_to_learn(parsed[0], labels, read, settings.training.allow_leaks)
    split = _split(job, parsed, labels, fields, settings)
    source = None if split.folds is None else _out_of_fold(job, split, labels, fields, settings)
    catalogs = Catalogs(split.train, split.val, labels, fields)
    prepared = Preparation(catalogs, job.work_dir, job.cache_dir).prepare(settings)
    if prepared.val is not None and len(prepared.val) < NUM_FOLDS:
        raise TrainingError(
            f"{parsed[-1].path}: expected {NUM_FOLDS} rows or more to calibrate with, found {len(prepared.val)}; add"
            " rows, or give one file with --catalog, all of which calibrates"
        )
    model, history = train_model(prepared, settings, job.work_dir, job.resume)
    if source is None:
        source = _held_out(model, prepared, split, settings.training.seed)
    assembled = assemble(model, source, tree, settings, prepared.draw)
    contents = _contents(assembled, prepared, settings, history, split)
    write_bundle(
        job.bundle,
        contents,
        prepared.tokenizer,
        lambda folder: _write_model(folder, assembled, prepared),
    )
    return contents.metrics


def train_model(
    prepared: Prepared, settings: Settings, work_dir: Path, resume: bool
) -> tuple[TrainedModel, list[dict[str, float]]]:
    """Train the network, and fit the linear SVM and the neighbours beside it.

    Args:
        work_dir: state and TensorBoard logs.
    Returns:
        the model, and the figures of each epoch.
    """
    trained, classifier, batches = build_network(prepared, settings)
    state = TrainState(work_dir / "state", run_key(settings, prepared))
    logs = EpochLogs(work_dir / "tensorboard")
    loss_weights = head_loss_weights(prepared.shape.heads, settings)
    if not resume:
        state.clear()
    method = noise_method(prepared, settings)
    progress = fit(trained, loss_weights, batches, training_settings(settings), state, method, [logs])
    return fit_beside(over_logits(classifier), classifier, prepared, settings), progress.history


def build_network(
    prepared: Prepared, settings: Settings
) -> tuple[keras.Model, keras.Model, tuple[CatalogBatches, CatalogBatches | None]]:
    """The model to train, the classifier inside it, and the batches for training and validation."""
    shape, training = prepared.shape, settings.training
    classifier = build_classifier(shape, settings.model, settings.fields, prepared.tokenizer, training.seed)
    batches = (
        CatalogBatches(prepared.train, shape, training.batch_size, training.seed, prepared.draw),
        None if prepared.val is None else CatalogBatches(prepared.val, shape, training.batch_size),
    )
    return over_logits(classifier, prepared.draw), classifier, batches


def run_key(settings: Settings, prepared: Prepared) -> str:
    """Digest of all that a resumed run must share with the interrupted one."""
    digests = [prepared.train.digest, None if prepared.val is None else prepared.val.digest]
    values = settings_to_dict(settings)
    # These shape what comes before or after the network.
    del values["image"]["max_lost_pictures"], values["training"]["max_rejected_rows"], values["training"]["allow_leaks"]
    del values["linear"], values["neighbors"]
    del values["training"]["precision_target"], values["training"]["precision_confidence"]
    if settings.noise.noise == "none":
        del values["noise"]
    if settings.sampling.is_plain:
        del values["sampling"]
    else:
        del values["sampling"]["prior_correction"]
    parts = [values, dataclasses.asdict(prepared.shape), digests, FIELDS, keras.backend.backend()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _split(
    job: TrainJob, parsed: list[ParsedCatalog], labels: LabelSpace, fields: tuple[str, ...], settings: Settings
) -> Split:
    """Choose the rows to train on and those that calibrate; log them, and warn where the latter are too few."""
    if len(parsed) == 1:
        split = split_one(parsed[0], labels, fields, settings, job.work_dir, job.cache_dir)
    else:
        split = split_two(parsed[0], parsed[1], labels, fields, settings, job.cache_dir)
    num_rows = split.train.statistics.num_rows
    if split.val is not None:
        _log.info("%d rows to train on, %d to calibrate with", num_rows, split.val.statistics.num_rows)
    else:
        _log.info("%d rows to train on; they calibrate, too, in %d folds", num_rows, settings.training.num_folds)
    if warning := too_few_to_promise(len(np.unique(split.groups)), settings.training):
        _log.warning("%s", warning)
    return split


def _out_of_fold(
    job: TrainJob, split: Split, labels: LabelSpace, fields: tuple[str, ...], settings: Settings
) -> CalibrationSource:
    """Train once for each fold, on the rows of the others."""
    folds = split.folds
    assert folds is not None
    values = settings_to_dict(settings)
    del values["training"]["precision_target"], values["training"]["precision_confidence"]
    del values["training"]["allow_leaks"], values["sampling"]["prior_correction"]
    key = answers_key([values, split.train.digest, labels.taxonomy.checksum, FIELDS, keras.backend.backend()])

    def train_fold(fold: int, folder: Path) -> tuple[TrainedModel, EncodedCatalog, np.ndarray]:
        # Its rows are prepared, but not looked at before the last epoch is over.
        catalogs = Catalogs(split.train.select(folds != fold), None, labels, fields)
        preparation = Preparation(catalogs, folder, job.cache_dir)
        prepared = preparation.prepare(settings)
        model, _ = train_model(prepared, settings, folder, job.resume)
        encoded = preparation.encode(split.train.select(folds == fold), prepared)
        return model, encoded, split.groups[folds == fold][np.asarray(encoded.arrays["rows"])]

    answers = FoldAnswers(job.work_dir / "folds", key, int(folds.max()) + 1, settings.training.seed)
    return answers.answer(train_fold, job.resume)


def _held_out(model: TrainedModel, prepared: Prepared, split: Split, seed: int) -> CalibrationSource:
    assert prepared.val is not None
    groups = split.groups[np.asarray(prepared.val.arrays["rows"])]
    return HeldOutRows(model, prepared.val, groups, seed)


def _write_model(folder: Path, assembled: AssembledModel, prepared: Prepared) -> None:
    if assembled.neighbors is not None:
        assembled.neighbors.save(folder / FILES.neighbors)
    write_programs(folder, assembled.classifier, prepared.image_encoder)


def _contents(
    assembled: AssembledModel,
    prepared: Prepared,
    settings: Settings,
    history: list[dict[str, float]],
    split: Split,
) -> BundleContents:
    shape, calibrated = prepared.shape, prepared.val or prepared.train
    products = prepared.train.class_counts(prepared.labels.taxonomy.num_leaves)
    metrics = {
        **assembled.metrics,
        "rejects": calibrated.num_rejects,
        "training_products": products,
        "is_out_of_fold": split.folds is not None,
    }
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
    return dataclasses.replace(contents, model_card=model_card(contents))
