"""Ablation study: the model without one component at a time, over several seeds.

    python -m benchmarks.accuracy.ablation --sets mwpd2020 --seeds 3
    python -m benchmarks.accuracy.ablation --sets naver2019 mwpd2020 fashion224 --num-rows 1000 --seeds 3

A component of the formula is left out when the formula is fitted, one of the network when the network is trained;
nothing else changes. A whole set is measured on its val.csv with cross-fitted formulas (each fifth of the rows by a
formula fitted on the other four), a random sample of `--num-rows` rows with a formula fitted on 200 further rows. The
tables show the difference to the full model in points, mean and standard deviation over seeds; docs/model.md has them.
"""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import numpy as np
import tyro
from rich.table import Table

from benchmarks.accuracy.catalog_variants import draw_samples, read_rows, write_rows
from catalog.read_options import ReadOptions
from model.machine.console import wide_console
from model.network.keras_backend import prepare_keras
from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from model.prediction.formula import HeadLogits
from model.settings import Settings, text_fields
from model.taxonomy import Taxonomy
from training.default_settings import catalog_size, default_settings
from training.encoding.parsed_catalog import parse_catalog
from training.ensemble.formula_fitting import FitOptions, cross_fitted_logits, fit_formula, group_folds

if TYPE_CHECKING:
    from training.encoding.encoded_catalog import EncodedCatalog
    from training.preparation import Prepared

_log = logging.getLogger("aisle.ablation")
_WEIGHTS = "mobilenet_v2_1.0_224_notop.weights.h5"
_NUM_FORMULA_ROWS = 200
FULL = "full model"
FIGURES = ("accuracy", "average_weighted_f1", "coverage", "calibration_error")


@dataclass(frozen=True)
class Options:
    """Settings of the study."""

    sets: tuple[str, ...] = ("mwpd2020",)
    """Benchmark sets: naver2019, mwpd2020 or fashion224."""
    seeds: int = 3
    """Number of seeds; each draws a sample of its own and trains every network once."""
    num_rows: int = 0
    """Size of the random training sample; 0 trains on the whole set."""
    networks: tuple[str, ...] = ()
    """Components of the network to leave out, by their names in the table; all of them by default."""
    data: Path = Path("../shared/data")
    """Folder with the benchmark sets."""
    weights: Path = Path("../shared/weights")
    """Folder with the ImageNet weights of MobileNetV2."""
    out: Path = Path("build/ablation")
    """Folder for samples, caches and the results, ablation-SET-ROWS.json."""


@dataclass(frozen=True)
class NetworkVariant:
    """A network without one component.

    Args:
        change: function from settings to settings without the component.
        applies: returns False for settings that have the component off anyway.
        without_convolutions: True sets the output of the CNN to zero, in training, too.
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
    """Measure the sets one by one and print a table for each."""
    options = tyro.cli(Options, prog="python -m benchmarks.accuracy.ablation", description=__doc__)
    console = wide_console()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in options.sets:
        runs = [_run(name, seed, options) for seed in range(options.seeds)]
        options.out.mkdir(parents=True, exist_ok=True)
        target = options.out / f"ablation-{name}-{options.num_rows or 'all'}.json"
        target.write_text(json.dumps(runs, indent=1), encoding="utf-8")
        console.print(_table(f"{name}, {options.num_rows or 'all'} rows, {options.seeds} seeds", runs))


def _run(name: str, seed: int, options: Options) -> dict[str, dict[str, float]]:
    """Measure the full model and the models without a component, by the component's name."""
    train, val, measured_on = _catalogs(name, seed, options)
    settings = default_settings(catalog_size(parse_catalog(train, ReadOptions(), options.out / "cache").statistics))
    settings = _changed("training", seed=seed)(settings)
    if name == "fashion224":
        settings = _changed("image", image_weights=str(options.weights / _WEIGHTS))(settings)
    found: dict[str, dict[str, float]] = {}
    trainings = Trainings((train, val, measured_on), options.out, seed)
    for component, variant in {FULL: NetworkVariant(lambda s: s, lambda _: True), **NETWORKS}.items():
        if component != FULL and (
            not variant.applies(settings) or (options.networks and component not in options.networks)
        ):
            continue
        rows = trainings.rows(variant.change(settings), variant.without_convolutions)
        found[component] = rows.figures(lambda heads: heads)
        _log.info("%s, seed %d, without %s: %s", name, seed, component, found[component])
        if component == FULL:
            found |= {left_out: rows.figures(change) for left_out, change in FORMULAS.items() if rows.has(left_out)}
            found["cap of the penalty"] = rows.figures(lambda heads: heads, FitOptions(slopes=(1.0,)))
    return found


def _catalogs(name: str, seed: int, options: Options) -> tuple[Path, Path, Path]:
    """Return the training, validation and test catalog."""
    folder = options.data / name
    if not options.num_rows:
        return folder / "train.csv", folder / "val.csv", folder / "val.csv"
    target = options.out / f"{name}-{options.num_rows}" / str(seed)
    drawn = draw_samples(read_rows(folder / "train.csv"), (options.num_rows, _NUM_FORMULA_ROWS), seed)
    paths = [write_rows(target / f"{split}.csv", rows) for split, rows in zip(("train", "val"), drawn, strict=True)]
    return paths[0], paths[1], folder / "val.csv"


@dataclass(frozen=True, eq=False)
class Rows:
    """Logits of all heads on the rows for fitting the formula and on the rows for measuring it.

    Args:
        fitted, measured: heads and (N,) int32 labels; the same object where formulas are cross-fitted.
    """

    fitted: tuple[HeadLogits, np.ndarray]
    measured: tuple[HeadLogits, np.ndarray]
    taxonomy: Taxonomy
    seed: int

    def has(self, component: str) -> bool:
        """Return True if the model has this head and another one that can answer without it."""
        heads = self.fitted[0]
        has = {"linear SVM": heads.linear is not None, "neighbours": heads.neighbors is not None}
        return has.get(component, heads.linear is not None)

    def figures(
        self, change: Callable[[HeadLogits], HeadLogits], options: FitOptions | None = None
    ) -> dict[str, float]:
        """Measure accuracy, score, coverage at a precision target of 98 % and calibration error, each 0 to 1."""
        from training.evaluation.cross_fitting import SampledRows, cross_fitted_calibration
        from training.metrics.classification import outcome_metrics
        from training.metrics.outcomes import Outcomes

        options = options or FitOptions()
        heads, labels = change(self.measured[0]), self.measured[1]
        if self.fitted is self.measured:
            folds, same = group_folds(np.arange(len(labels)), self.seed), np.ones((len(labels), 1), np.float32)
            logits = cross_fitted_logits(heads, labels, folds, same, self.seed, options)
        else:
            logits = fit_formula(change(self.fitted[0]), self.fitted[1], self.seed, options).logits(heads)
        metrics = outcome_metrics(Outcomes.of(labels, softmax(logits)), self.taxonomy)
        rows, nothing = np.arange(len(labels)), np.zeros((len(labels), 1), np.float32)
        floors = np.zeros((len(labels), self.taxonomy.depth), np.float32)
        sample = SampledRows(logits, nothing, labels, floors, groups=rows, numbers=rows)
        contract = cross_fitted_calibration(sample, Calibration(), self.taxonomy, self.seed)["cross_fitted"]
        return {
            "accuracy": metrics["accuracy"],
            "average_weighted_f1": metrics["average_weighted_f1"],
            "coverage": contract["leaf_accepted_share"],
            "calibration_error": metrics["expected_calibration_error"],
        }


class Trainings:
    """Trainings on the catalogs of one seed; a network shared by several variants is trained once.

    Args:
        catalogs: training, validation and test catalog.
        out: folder for caches.
    """

    def __init__(self, catalogs: tuple[Path, Path, Path], out: Path, seed: int):
        self._train, self._val, self._measured_on = catalogs
        self._cache, self._work, self._seed = out / "cache", out / "work", seed
        #: Joint logits of the network on the validation and the test rows.
        self._networks: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def rows(self, settings: Settings, without_convolutions: bool) -> Rows:
        """Train with these settings and return the logits of all heads."""
        import keras

        keras.utils.clear_session()
        prepare_keras(settings.training)
        from training.ensemble.linear_svm import fit_linear_head, linear_scores
        from training.ensemble.neighbor_index import index_neighbors, neighbor_logits
        from training.ensemble.ngram_matrix import ngram_field_weights
        from training.preparation import Preparation, read_catalogs

        prepared = Preparation(
            read_catalogs(self._train, self._val, ReadOptions(), None, self._cache), self._work, self._cache
        ).prepare(settings)
        assert prepared.val is not None
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
        train, measured = (parse_catalog(path, ReadOptions(), self._cache) for path in (self._train, self._measured_on))
        _, folder = fitted_tokenizer(train, texts, settings.tokenizer, seed, self._cache)
        encoder = CatalogEncoder(
            prepared.tokenizer, folder, prepared.labels, fields, settings.image, prepared.pictures, self._cache
        )
        return encoder.encode(measured, self._work / "rejects-measured.csv")

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
            with _without_convolutions() if without_convolutions else contextlib.nullcontext():
                trained, _, batches = build_network(prepared, settings)
            state = TrainState(self._work / "state", key)
            loss_weights = head_loss_weights(prepared.shape.heads, settings)
            state.clear()
            fit(trained, loss_weights, batches, settings.training, state)
            parts = (batches[1], CatalogBatches(measured, prepared.shape, settings.training.batch_size))
            first, second = (trained.predict(part, verbose=0)["joint_logits"] for part in parts)
            self._networks[key] = first, second
        return self._networks[key]


@contextlib.contextmanager
def _without_convolutions() -> Iterator[None]:
    """Context in which networks are built with a CNN whose output is zero, so that it contributes nothing."""
    from model.network import classifier
    from model.network.layers import Affine

    own = classifier._Builder._cnn

    def zero_output(builder: classifier._Builder, field: str) -> object:
        return Affine(0.0, name=f"{field}_cnn_without_output")(own(builder, field))

    classifier._Builder._cnn = zero_output  # type: ignore[method-assign]
    try:
        yield
    finally:
        classifier._Builder._cnn = own  # type: ignore[method-assign]


def _table(title: str, runs: list[dict[str, dict[str, float]]]) -> Table:
    table = Table("left out", "accuracy", "average weighted F1", "coverage at 98 %", "calibration error", title=title)
    full = [f"{_mean_and_spread([run[FULL][figure] for run in runs], 4)}" for figure in FIGURES]
    table.add_row("nothing", *full)
    for component in (component for component in runs[0] if component != FULL):
        cells = [
            _mean_and_spread([100 * (run[component][figure] - run[FULL][figure]) for run in runs], 2, signed=True)
            for figure in FIGURES
        ]
        table.add_row(component, *cells)
    return table


def _mean_and_spread(values: list[float], digits: int, signed: bool = False) -> str:
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):{'+' if signed else ''}.{digits}f}{spread}"


if __name__ == "__main__":
    main()
