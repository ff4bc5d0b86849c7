"""Each piece of the model left out, with all others present: what it gives, over several seeds.

    python -m benchmarks.ablation --sets mwpd2020 --seeds 3
    python -m benchmarks.ablation --sets naver2019 mwpd2020 fashion224 --num-rows 1000 --seeds 3

The formula's pieces are left out when it is fitted, the network's when it is trained; both change nothing else. A whole
set is measured on its val.csv with cross-fitted formulas (each fifth of the rows by a formula of the other four), a
random sample of `--num-rows` rows with the formula of 200 further rows. Tables show the difference to the whole model
in points, mean and standard deviation over seeds; docs/model.md holds them.
"""

import contextlib
import dataclasses
import json
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.catalog_variants import draw_samples, read_rows, write_rows
from catalog.columns import parse_columns
from model.network.keras_backend import prepare_keras
from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from model.prediction.formula import HeadLogits
from model.settings import Settings, text_fields
from model.taxonomy import Taxonomy
from training.default_settings import catalog_size, default_settings

if TYPE_CHECKING:
    from training.encoding.encoded_catalog import EncodedCatalog
    from training.preparation import Prepared

_log = logging.getLogger("aisle.ablation")
_WEIGHTS = "mobilenet_v2_1.0_224_notop.weights.h5"
_NUM_FORMULA_ROWS = 200
WHOLE = "whole model"
FIGURES = ("accuracy", "average_weighted_f1", "coverage", "calibration_error")


@dataclass(frozen=True)
class Options:
    """Sets, seeds and folders."""

    sets: tuple[str, ...] = ("mwpd2020",)
    """Benchmark sets, of naver2019, mwpd2020, fashion224."""
    seeds: int = 3
    """Trainings of each network; the seed draws the sample, too."""
    num_rows: int = 0
    """Rows of a random sample to train on; 0 takes the whole set."""
    networks: tuple[str, ...] = ()
    """Pieces of the network to leave out, by their names in the table; none named: all."""
    data: Path = Path("../shared/data")
    """Folder with the benchmark sets."""
    weights: Path = Path("../shared/weights")
    """Folder with the ImageNet weights of MobileNetV2."""
    out: Path = Path("build/ablation")
    """Samples, caches, and ablation-SET-ROWS.json with every figure."""


@dataclass(frozen=True)
class NetworkVariant:
    """A network that lacks a piece.

    Args:
        change: settings to settings.
        applies: False where the settings have the piece off anyway.
        without_convolutions: True silences the CNN, whose output is then zero in training, too.
    """

    change: Callable[[Settings], Settings]
    applies: Callable[[Settings], bool]
    without_convolutions: bool = False


def _changed(group: str, **values: object) -> Callable[[Settings], Settings]:
    def change(settings: Settings) -> Settings:
        return dataclasses.replace(settings, **{group: dataclasses.replace(getattr(settings, group), **values)})

    return change


NETWORKS: dict[str, NetworkVariant] = {
    "convolutions": NetworkVariant(lambda settings: settings, lambda _: True, without_convolutions=True),
    "Word2Vec (random vectors)": NetworkVariant(_changed("tokenizer", word2vec_epochs=0), lambda _: True),
    "pretrained words": NetworkVariant(
        _changed("tokenizer", pretrained_words="off"), lambda settings: settings.tokenizer.pretrained_words == "on"
    ),
    "modality dropout": NetworkVariant(
        _changed("model", modality_dropout_rate=0.0), lambda settings: settings.model.modality_dropout_rate > 0
    ),
    "n-grams hidden in training": NetworkVariant(
        _changed("model", ngram_dropout_rate=0.0), lambda settings: settings.model.ngram_dropout_rate > 0
    ),
    "weights of SVMs' parents": NetworkVariant(
        _changed("linear", linear_parent_weight=0.0), lambda settings: settings.linear.linear_parent_weight > 0
    ),
    "single-field rows of SVMs": NetworkVariant(
        _changed("linear", linear_single_field_weight=0.0),
        lambda settings: settings.linear.linear_single_field_weight > 0,
    ),
}
FORMULAS: dict[str, Callable[[HeadLogits], HeadLogits]] = {
    "linear SVM": lambda heads: dataclasses.replace(heads, linear=None),
    "neighbours": lambda heads: dataclasses.replace(heads, neighbors=None),
    "network": lambda heads: dataclasses.replace(heads, network=np.zeros_like(heads.network)),
}


def main() -> None:
    """Measure the sets one after the other and print a table for each."""
    options = tyro.cli(Options, prog="python -m benchmarks.ablation", description=__doc__)
    console = Console(width=None if sys.stdout.isatty() else 160)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in options.sets:
        runs = [_run(name, seed, options) for seed in range(options.seeds)]
        options.out.mkdir(parents=True, exist_ok=True)
        target = options.out / f"ablation-{name}-{options.num_rows or 'all'}.json"
        target.write_text(json.dumps(runs, indent=1), encoding="utf-8")
        console.print(_table(f"{name}, {options.num_rows or 'all'} rows, {options.seeds} seeds", runs))


def _run(name: str, seed: int, options: Options) -> dict[str, dict[str, float]]:
    """Figures of the whole model and of each one that lacks a piece, by the piece's name."""
    train, val, measured_on = _catalogs(name, seed, options)
    settings = default_settings(catalog_size(train, parse_columns("")))
    settings = _changed("training", seed=seed)(settings)
    if name == "fashion224":
        settings = _changed("image", image_weights=str(options.weights / _WEIGHTS))(settings)
    found: dict[str, dict[str, float]] = {}
    trainings = Trainings((train, val, measured_on), options.out, seed)
    for piece, variant in {WHOLE: NetworkVariant(lambda s: s, lambda _: True), **NETWORKS}.items():
        if piece != WHOLE and (not variant.applies(settings) or (options.networks and piece not in options.networks)):
            continue
        rows = trainings.rows(variant.change(settings), variant.without_convolutions)
        found[piece] = rows.figures(lambda heads: heads)
        _log.info("%s, seed %d, without %s: %s", name, seed, piece, found[piece])
        if piece == WHOLE:
            found |= {left_out: rows.figures(change) for left_out, change in FORMULAS.items() if rows.has(left_out)}
            with _without_cap():
                found["cap of the penalty"] = rows.figures(lambda heads: heads)
    return found


def _catalogs(name: str, seed: int, options: Options) -> tuple[Path, Path, Path]:
    """Training, validation and measured catalog."""
    folder = options.data / name
    if not options.num_rows:
        return folder / "train.csv", folder / "val.csv", folder / "val.csv"
    target = options.out / f"{name}-{options.num_rows}" / str(seed)
    drawn = draw_samples(read_rows(folder / "train.csv"), (options.num_rows, _NUM_FORMULA_ROWS), seed)
    paths = [write_rows(target / f"{split}.csv", rows) for split, rows in zip(("train", "val"), drawn, strict=True)]
    return paths[0], paths[1], folder / "val.csv"


@dataclass(frozen=True, eq=False)
class Rows:
    """Logits of all heads on the rows that the formula is fitted on and on those that are measured.

    Args:
        fitted, measured: heads and (N,) int32 labels; the same object where formulas are cross-fitted.
    """

    fitted: tuple[HeadLogits, np.ndarray]
    measured: tuple[HeadLogits, np.ndarray]
    taxonomy: Taxonomy
    seed: int

    def has(self, piece: str) -> bool:
        """True if there is such a head to leave out, and another one to answer."""
        heads = self.fitted[0]
        has = {"linear SVM": heads.linear is not None, "neighbours": heads.neighbors is not None}
        return has.get(piece, heads.linear is not None)

    def figures(self, change: Callable[[HeadLogits], HeadLogits]) -> dict[str, float]:
        """Accuracy, score, coverage at promised 98 % and calibration error, 0 to 1."""
        from training.ensemble.formula_fitting import cross_fitted_logits, fit_formula
        from training.evaluation.cross_fitting import cross_fitted_calibration
        from training.metrics.classification import outcome_metrics
        from training.metrics.outcomes import Outcomes

        heads, labels = change(self.measured[0]), self.measured[1]
        if self.fitted is self.measured:
            logits = cross_fitted_logits(heads, labels, self.seed)
        else:
            logits = fit_formula(change(self.fitted[0]), self.fitted[1], self.seed).logits(heads)
        metrics = outcome_metrics(Outcomes.of(labels, softmax(logits)), self.taxonomy)
        least = np.zeros(len(labels), np.float32)
        contract = cross_fitted_calibration(logits, labels, least, Calibration(), self.seed)["cross_fitted"]
        return {
            "accuracy": metrics["accuracy"],
            "average_weighted_f1": metrics["average_weighted_f1"],
            "coverage": contract["leaf_accepted_share"],
            "calibration_error": metrics["expected_calibration_error"],
        }


class Trainings:
    """Trainings on the catalogs of one seed; a network that several variants share is trained once.

    Args:
        catalogs: training, validation and measured one.
        out: folder for caches.
    """

    def __init__(self, catalogs: tuple[Path, Path, Path], out: Path, seed: int):
        self._train, self._val, self._measured_on = catalogs
        self._cache, self._work, self._seed = out / "cache", out / "work", seed
        #: Joint logits of the network on the validation and the measured rows.
        self._networks: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def rows(self, settings: Settings, without_convolutions: bool) -> Rows:
        """Logits of all heads, trained and fitted with these settings."""
        import keras

        keras.utils.clear_session()
        prepare_keras(settings.training)
        from training.ensemble.linear_svm import fit_linear_head, linear_scores, ngram_field_weights
        from training.ensemble.neighbor_index import index_neighbors, neighbor_logits
        from training.preparation import Catalogs, Preparation

        prepared = Preparation(Catalogs(self._train, self._val, {}, None), self._work, self._cache).prepare(settings)
        buckets, fields = prepared.tokenizer.settings.hash_buckets, prepared.shape.fields
        measured = prepared.val if self._measured_on == self._val else self._measured(prepared, settings)
        networks = self._network_logits(prepared, measured, settings, without_convolutions)
        weights = ngram_field_weights(fields, settings.fields)
        linear = fit_linear_head(
            prepared.train, weights, prepared.labels.taxonomy, buckets, settings.linear, self._seed
        )
        index = index_neighbors(prepared.train, weights, buckets, settings.neighbors) if weights else None

        def heads(network: np.ndarray, catalog: "EncodedCatalog") -> tuple[HeadLogits, np.ndarray]:
            scores = None if linear is None else linear_scores(linear, catalog)
            nearest = None if index is None else neighbor_logits(index, catalog, prepared.shape.num_classes)
            return HeadLogits(network, scores, nearest), np.asarray(catalog.arrays["labels"])

        fitted = heads(networks[0], prepared.val)
        both = (fitted, fitted if measured is prepared.val else heads(networks[1], measured))
        return Rows(*both, prepared.labels.taxonomy, self._seed)

    def _measured(self, prepared: "Prepared", settings: Settings) -> "EncodedCatalog":
        from training.encoding.encoded_catalog import CatalogEncoder
        from training.encoding.tokenizer_cache import fitted_tokenizer

        fields, seed = prepared.shape.fields, settings.training.seed
        texts = text_fields(fields, settings.fields)
        _, folder = fitted_tokenizer(self._train, {}, texts, settings.tokenizer, seed, self._cache)
        encoder = CatalogEncoder(
            prepared.tokenizer, folder, prepared.labels, {}, fields, settings.image, prepared.pictures, self._cache
        )
        return encoder.encode(self._measured_on, self._work / "rejects-measured.csv")

    def _network_logits(
        self, prepared: "Prepared", measured: "EncodedCatalog", settings: Settings, without_convolutions: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        from training.network.batches import CatalogBatches
        from training.network.fit import fit
        from training.network.optimization import head_loss_weights
        from training.network.train_state import TrainState
        from training.train import build_network, run_key

        key = f"{run_key(settings, prepared)} {without_convolutions}"
        if key not in self._networks:
            with _silenced_convolutions() if without_convolutions else contextlib.nullcontext():
                trained, _, batches = build_network(prepared, settings)
            state = TrainState(self._work / "state", key)
            loss_weights = head_loss_weights(prepared.shape.heads, settings)
            fit(trained, loss_weights, batches, settings.training, state, resume=False)
            asked = (batches[1], CatalogBatches(measured, prepared.shape, settings.training.batch_size))
            first, second = (trained.predict(part, verbose=0)["joint_logits"] for part in asked)
            self._networks[key] = first, second
        return self._networks[key]


@contextlib.contextmanager
def _silenced_convolutions() -> Iterator[None]:
    """Networks built meanwhile have a CNN whose output is zero, so that it learns nothing and says nothing."""
    from model.network import classifier
    from model.network.layers import Affine

    own = classifier._Builder._cnn

    def silent(builder: classifier._Builder, field: str) -> object:
        return Affine(0.0, name=f"{field}_cnn_silenced")(own(builder, field))

    classifier._Builder._cnn = silent  # type: ignore[method-assign]
    try:
        yield
    finally:
        classifier._Builder._cnn = own  # type: ignore[method-assign]


@contextlib.contextmanager
def _without_cap() -> Iterator[None]:
    """Formulas fitted meanwhile count every score of the SVM in full."""
    from training.ensemble import formula_fitting

    own, formula_fitting._SLOPES = formula_fitting._SLOPES, (1.0,)
    try:
        yield
    finally:
        formula_fitting._SLOPES = own


def _table(title: str, runs: list[dict[str, dict[str, float]]]) -> Table:
    table = Table("left out", "accuracy", "average weighted F1", "coverage at 98 %", "calibration error", title=title)
    whole = [f"{_mean_and_spread([run[WHOLE][figure] for run in runs], 4)}" for figure in FIGURES]
    table.add_row("nothing", *whole)
    for piece in (piece for piece in runs[0] if piece != WHOLE):
        cells = [
            _mean_and_spread([100 * (run[piece][figure] - run[WHOLE][figure]) for run in runs], 2, signed=True)
            for figure in FIGURES
        ]
        table.add_row(piece, *cells)
    return table


def _mean_and_spread(values: list[float], digits: int, signed: bool = False) -> str:
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):{'+' if signed else ''}.{digits}f}{spread}"


if __name__ == "__main__":
    main()
