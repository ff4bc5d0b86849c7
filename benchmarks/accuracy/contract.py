"""The precision contract on products never seen: random samples, each trained from one file.

    python -m benchmarks.accuracy.contract --data ../shared/data --samples 20

Of each set samples are drawn from the training file, without pictures; in every second one three of ten rows are
replaced by near-duplicates of others. One training serves all promises. An answer is right when the category of the
product is the accepted one or lies below it; products of categories that the sample lacks count as they come. A run
breaks a promise when too few of the answers handed out are right, over all, or at a depth with 100 or more of them.
Beside these stand thresholds that are fitted for each depth over all products, and TF-IDF with a linear SVM on the same
rows.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import tyro
from rich.table import Table

from benchmarks.accuracy.catalog_variants import Row, draw_samples, read_rows, write_rows
from benchmarks.commands import run_training
from catalog.labels.label_space import LabelSpace
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from catalog.rows import CatalogRow
from model.bundle.bundle import load_bundle
from model.machine.console import wide_console
from model.prediction.answers import Answers, answer, probabilities
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import SubsetThresholds, prior_mass_values, temperature_values
from model.prediction.formula import HeadLogits
from model.predictor import Predictor
from model.taxonomy import Taxonomy, normalize_path
from training.ensemble.assembly import calibrate
from training.ensemble.calibration_rows import CalibrationSource, SavedRows
from training.ensemble.precision_contract import DepthOutcomes, precision_threshold
from training.evaluation.baselines import LinearBaseline, read_sample
from training.predict.answered_catalog import CatalogSource, answer_catalog

SETS = ("mwpd2020", "naver2019", "fashion224")
#: A network that a laptop trains in a few seconds; the contract has to hold whatever it answers.
SMALL_NETWORK = ("--epochs", "15", "--hidden-dim", "16", "--fcl-dim", "64", "--ngram-dim", "32")
_MIN_ACCEPTED = 100
_PLANTED_SHARE = 0.3
_WORDS = ("new", "sale", "original", "2024", "정품", "무료배송")


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    data: Path = Path("../shared/data")
    """Folder with the benchmark sets."""
    out: Path = Path("build/contract")
    """Folder for catalogs and bundles; what is there is used again."""
    sets: tuple[str, ...] = SETS
    """Sets to draw from."""
    samples: int = 20
    """Samples of each set."""
    first_seed: int = 0
    """Seed of the first sample; the others follow."""
    rows: int = 1000
    """Rows of a sample."""
    test_rows: int = 4000
    """Most products never seen that are answered."""
    promises: tuple[float, ...] = (0.8, 0.9, 0.95, 0.98)
    """Promised precisions."""
    small_network: bool = True
    """Train the small network of this file in place of the defaults."""
    plant: bool = True
    """Plant near-duplicates in every second sample."""


@dataclass
class Run:
    """One sample: accuracies, and for each promise what was handed out.

    Args:
        accuracy, baseline_accuracy: of the first answers, and of TF-IDF with a linear SVM.
        promises: promise to figures by way of fitting, "handed out" and "each depth".
    """

    name: str
    seed: int
    accuracy: float
    baseline_accuracy: float
    promises: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)


def main() -> None:
    """Measure the sets in order; a run's figures are kept in a file of its own."""
    options = tyro.cli(Options, prog="python -m benchmarks.accuracy.contract", description=__doc__)
    console = wide_console()
    seeds = range(options.first_seed, options.first_seed + options.samples)
    for name in options.sets:
        runs = [_run(name, seed, options) for seed in seeds]
        console.print(_table(name, runs, options))


def plant_near_duplicates(rows: Sequence[Row], share: float, seed: int) -> list[Row]:
    """Replace a share of the rows by near-duplicates of the others: a word more, one less, or another order."""
    draw = random.Random(seed)
    num_planted = round(share * len(rows))
    kept = list(rows[: len(rows) - num_planted])
    planted = []
    for i in range(num_planted):
        row = dict(draw.choice(kept))
        words = row["product_name"].split()
        kind = draw.randrange(3)
        if kind == 0:
            words.append(draw.choice(_WORDS))
        elif kind == 1 and len(words) > 5:
            words.pop(draw.randrange(len(words)))
        else:
            draw.shuffle(words)
        planted.append({**row, "product_id": f"{row['product_id']}-{i}", "product_name": " ".join(words)})
    return kept + planted


def _run(name: str, seed: int, options: Options) -> Run:
    folder = options.out / name / str(seed)
    figures = folder / "figures.json"
    if not figures.exists():
        sample, test = _catalogs(name, seed, options, folder)
        flags = SMALL_NETWORK if options.small_network else ()
        bundle, cache = folder / "bundle", options.out / "cache" / str(seed)
        run_training(
            "train", "--catalog", sample, "--bundle", bundle, "--cache-dir", cache, "--seed", str(seed), *flags
        )
        run = _measured(name, seed, folder, sample, test, options)
        figures.write_text(json.dumps(asdict(run), indent=1), encoding="utf-8")
    return Run(**json.loads(figures.read_text(encoding="utf-8")))


def _catalogs(name: str, seed: int, options: Options, folder: Path) -> tuple[Path, Path]:
    rows = [{**row, "image": ""} for row in read_rows(options.data / name / "train.csv")]
    num_test = min(options.test_rows, len(rows) - options.rows)
    sample, test = draw_samples(rows, (options.rows, num_test), seed)
    if options.plant and seed % 2:
        sample = plant_near_duplicates(sample, _PLANTED_SHARE, seed)
    return write_rows(folder / "train.csv", sample), write_rows(folder / "test.csv", test)


@dataclass(frozen=True, eq=False)
class _TestRows:
    """Answers of all heads to the products never seen, and these."""

    heads: HeadLogits
    presence: np.ndarray
    rows: list[CatalogRow]


def _measured(name: str, seed: int, folder: Path, sample: Path, test: Path, options: Options) -> Run:
    bundle = load_bundle(folder / "bundle")
    predictor = Predictor.open(folder / "bundle")
    found = _answered(predictor, test)
    predictor.close()
    files = sorted((folder / "bundle.train" / "folds").glob("*/answers.npz"))
    source = SavedRows(files, bundle.fields)
    labels = LabelSpace(bundle.taxonomy, sample.name)
    fields = [text for text in ("name", "mall_category") if text in bundle.fields]
    baseline = LinearBaseline(read_sample(sample, ReadOptions(), labels, options.rows), fields).answer(found.rows)
    leaves = bundle.taxonomy.leaves
    truth = [normalize_path(row.category) for row in found.rows]
    run = Run(
        name, seed, 0.0, float(np.mean([leaves[c] == label for c, label in zip(baseline.classes, truth, strict=True)]))
    )
    for promise in options.promises:
        training = replace(bundle.settings.training, precision_target=promise)
        calibration = calibrate(source, bundle.taxonomy, replace(bundle.settings, training=training)).calibration
        temperatures = temperature_values(calibration.formula, bundle.fields).of_rows(found.presence)
        logits = calibration.formula.logits(found.heads, temperatures)
        run.accuracy = float(
            np.mean([leaves[c] == label for c, label in zip(logits.argmax(axis=1), truth, strict=True)])
        )
        ways = {"handed out": calibration, "each depth": _each_depth(source, calibration, bundle.taxonomy)}
        run.promises[str(promise)] = {
            way: _handed_out(
                _answers(logits, found, way_calibration, bundle.fields, bundle.taxonomy), truth, bundle.taxonomy
            )
            for way, way_calibration in ways.items()
        }
    return run


def _answered(predictor: Predictor, test: Path) -> _TestRows:
    names = ("network_logits", "linear_logits", "neighbors_logits")
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*names, "presence")}
    rows: list[CatalogRow] = []
    with Rejects(None) as rejects:
        for chunk in answer_catalog(predictor, CatalogSource(test, ReadOptions(), test.parent), rejects, top_k=1):
            rows += chunk.rows
            parts["presence"].append(chunk.features["presence"])
            for output in names:
                if output in chunk.outputs:
                    parts[output].append(chunk.outputs[output])
    joined = {name: np.concatenate(values) for name, values in parts.items() if values}
    heads = HeadLogits(joined[names[0]], joined.get(names[1]), joined.get(names[2]))
    return _TestRows(heads, joined["presence"], rows)


def _answers(
    logits: np.ndarray, found: _TestRows, calibration: Calibration, fields: tuple[str, ...], taxonomy: Taxonomy
) -> Answers:
    thresholds = SubsetThresholds(calibration, fields).of_rows(found.presence)
    masses = prior_mass_values(calibration.formula, fields).of_rows(found.presence)
    return answer(logits, masses, taxonomy, calibration, thresholds, top_k=1)


def _each_depth(source: CalibrationSource, calibration: Calibration, taxonomy: Taxonomy) -> Calibration:
    """Thresholds fitted for each depth over all products, whatever is accepted below."""
    rows = source.rows
    temperatures = temperature_values(calibration.formula, source.fields).of_rows(rows.presence)
    masses = prior_mass_values(calibration.formula, source.fields).of_rows(rows.presence)
    heads = rows.heads if calibration.formula.neighbor_weight else replace(rows.heads, neighbors=None)
    calibrated = probabilities(calibration.formula.logits(heads, temperatures), masses)
    outcomes = DepthOutcomes.of(calibrated, rows.labels, taxonomy)
    promise = calibration.precision_target, calibration.precision_confidence
    thresholds = tuple(
        precision_threshold(outcomes.confidences[:, level], outcomes.is_right[:, level], *promise)
        for level in range(taxonomy.depth)
    )
    return replace(calibration, thresholds=thresholds, subset_thresholds={})


def _handed_out(answers: Answers, truth: Sequence[str], taxonomy: Taxonomy) -> dict[str, float]:
    """Shares accepted and right, over all and at each depth."""
    is_right = np.zeros(len(truth), bool)
    for row in np.flatnonzero(answers.accepted_depths).tolist():
        node = taxonomy.levels[answers.accepted_depths[row] - 1][answers.accepted_nodes[row]]
        is_right[row] = truth[row] == node or truth[row].startswith(f"{node}>")
    figures: dict[str, float] = {}
    for place, rows in [
        ("all", answers.accepted_depths > 0),
        *((str(depth), answers.accepted_depths == depth) for depth in range(1, taxonomy.depth + 1)),
    ]:
        figures[f"{place} accepted"] = float(rows.mean())
        figures[f"{place} count"] = int(rows.sum())
        figures[f"{place} right"] = float(is_right[rows].mean()) if rows.any() else 1.0
    return figures


def _table(name: str, runs: Sequence[Run], options: Options) -> Table:
    accuracies = np.array([[run.accuracy, run.baseline_accuracy] for run in runs])
    mean, error = accuracies.mean(axis=0), accuracies.std(axis=0) / max(len(runs), 1) ** 0.5
    title = (
        f"{name}: {len(runs)} samples of {options.rows} rows; accuracy {mean[0]:.4f} ± {error[0]:.4f},"
        f" TF-IDF + linear SVM {mean[1]:.4f} ± {error[1]:.4f}"
    )
    table = Table("promise", "thresholds", "accepted", "at a leaf", "right", "broken", "broken by depth", title=title)
    for promise in options.promises:
        for way in ("handed out", "each depth"):
            figures = [run.promises[str(promise)][way] for run in runs]
            table.add_row(f"{promise:g}", way, *_cells(figures, promise))
    return table


def _cells(figures: Sequence[dict[str, float]], promise: float) -> list[str]:
    depths = sorted({int(key.split()[0]) for entry in figures for key in entry if key[0].isdigit()})
    handing_out = [entry for entry in figures if entry["all count"]]
    broken = sum(entry["all right"] < promise for entry in handing_out)
    cells = []
    for depth in depths:
        large = [entry for entry in figures if entry.get(f"{depth} count", 0) >= _MIN_ACCEPTED]
        cells.append(f"{sum(entry[f'{depth} right'] < promise for entry in large)} of {len(large)}")
    leaf = max(depths)
    return [
        f"{np.mean([entry['all accepted'] for entry in figures]):.3f}",
        f"{np.mean([entry.get(f'{leaf} accepted', 0.0) for entry in figures]):.3f}",
        f"{np.mean([entry['all right'] for entry in handing_out]):.4f}" if handing_out else "-",
        f"{broken} of {len(handing_out)}",
        ", ".join(f"{depth}: {cell}" for depth, cell in zip(depths, cells, strict=True)),
    ]


if __name__ == "__main__":
    main()
