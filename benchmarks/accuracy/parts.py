"""The parts of `benchmarks.accuracy.targets`; each trains with the commands that users have."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.accuracy.catalog_variants import draw_samples, read_rows, type_word_remover, write_rows
from benchmarks.commands import run_training

_WEIGHTS = "mobilenet_v2_1.0_224_notop.weights.h5"
_ROUNDING = 1e-9  # rounding error of a difference of accuracies, far less than one row


@dataclass(frozen=True)
class Paths:
    """Folders of inputs and outputs.

    Args:
        data, weights: folders of the benchmark sets and of the ImageNet weights.
        out: folder for catalogs, bundles and reports.
    """

    data: Path
    weights: Path
    out: Path

    @property
    def cache(self) -> Path:
        """Encoded catalogs and picture features, shared by all parts."""
        return self.out / "cache"


@dataclass(frozen=True)
class Catalogs:
    """The catalogs for training, for early stopping and calibration, and for the evaluation."""

    train: Path
    val: Path
    test: Path

    @classmethod
    def of(cls, folder: Path) -> "Catalogs":
        """Use the train.csv and val.csv of a set."""
        return cls(folder / "train.csv", folder / "val.csv", folder / "val.csv")


@dataclass(frozen=True)
class Requirement:
    """A requirement with the measured value, a line of the acceptance table.

    Args:
        bound: the required value, a lower bound unless `is_upper`.
        baseline: the linear SVM's value on the same rows; None without one.
        note: further values.
    """

    metric: str
    bound: float
    measured: float
    is_upper: bool = False
    baseline: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool:
        """True when the value is within the bound, up to rounding errors."""
        excess = self.measured - self.bound
        return excess <= _ROUNDING if self.is_upper else excess >= -_ROUNDING


def naver2019(paths: Paths) -> list[Requirement]:
    """Measure naver2019: 167,728 Korean names, 107 categories."""
    catalogs = Catalogs.of(paths.data / "naver2019")
    metrics, train_s = train_and_evaluate(paths, "naver2019", catalogs)
    bundle, answers = paths.out / "naver2019", paths.out / "naver2019.csv"
    predict_s, _ = run_training("predict", "--bundle", bundle, "--catalog", catalogs.train, "--out", answers)
    rate = metrics["baselines"]["num_rows_in_catalog"] / predict_s
    linear = metrics["baselines"]["baselines"]["tfidf_linear_svm"]
    return [
        Requirement(
            "naver2019: accuracy", 0.915, metrics["accuracy"], baseline=linear["accuracy"], note="target 0.925"
        ),
        *_calibration_requirements("naver2019", metrics, 0.80),
        Requirement("naver2019: training, s", 1800, train_s, is_upper=True),
        Requirement("naver2019: predict, names/s", 5000, rate, note="the whole command"),
    ]


def mwpd2020(paths: Paths) -> list[Requirement]:
    """Measure mwpd2020: 10,012 web offers, name and mall category."""
    metrics, _ = train_and_evaluate(paths, "mwpd2020", Catalogs.of(paths.data / "mwpd2020"))
    linear = metrics["baselines"]["baselines"]["tfidf_linear_svm"]["average_weighted_f1"]
    score = metrics["average_weighted_f1"]
    return [
        Requirement("mwpd2020: average weighted F1", 0.875, score, baseline=linear, note="target 0.886"),
        *_calibration_requirements("mwpd2020", metrics, 0.65),
        *_absent_field_requirements(paths, "mwpd2020", metrics, ("name", "mall_category")),
    ]


def fashion224(paths: Paths) -> list[Requirement]:
    """Measure fashion224: 7,503 garments, by the picture alone, and with names without words for the type."""
    folder = paths.data / "fashion224"
    metrics, _ = train_and_evaluate(paths, "fashion224", Catalogs.of(folder), with_pictures=True)
    remove = type_word_remover(row["category"] for row in read_rows(folder / "train.csv"))
    for split in ("train", "val"):
        rows = [{**row, "product_name": remove(row["product_name"])} for row in read_rows(folder / f"{split}.csv")]
        write_rows(paths.out / "hidden" / f"{split}.csv", rows)
    hidden = Catalogs.of(paths.out / "hidden")
    without, _ = train_and_evaluate(paths, "fashion224-hidden", hidden, with_pictures=True)
    alone = {field: _alone(without, field) for field in ("name", "image")}
    single = ", ".join(f"{field} alone {value:.4f}" for field, value in alone.items())
    return [
        Requirement(
            "fashion224: picture alone, accuracy",
            0.93,
            _alone(metrics, "image"),
            note="image head or joint head, the better",
        ),
        Requirement(
            "fashion224: without words for the type, joint minus the better single field",
            0.03,
            without["accuracy"] - max(alone.values()),
            note=f"joint {without['accuracy']:.4f}, {single}",
        ),
        *_absent_field_requirements(paths, "fashion224", metrics, ("name", "image")),
    ]


def small_sample(paths: Paths, name: str, num_rows: int, num_val_rows: int, seeds: int) -> list[Requirement]:
    """Measure random samples with Aisle's default settings; Aisle and the SVM are trained on the same rows.

    Args:
        num_val_rows: further rows, for Aisle's early stopping and calibration.
    """
    rows = read_rows(paths.data / name / "train.csv")
    test = paths.data / name / "val.csv"
    differences, joint, linear = [], [], []
    for seed in range(seeds):
        folder = paths.out / f"{name}-{num_rows}" / str(seed)
        train_rows, val_rows = draw_samples(rows, (num_rows, num_val_rows), seed)
        catalogs = Catalogs(
            write_rows(folder / "train.csv", train_rows), write_rows(folder / "val.csv", val_rows), test
        )
        bundle = f"{name}-{num_rows}/{seed}/bundle"
        metrics, _ = train_and_evaluate(paths, bundle, catalogs, seed=seed, with_pictures=name == "fashion224")
        svm = metrics["baselines"]["baselines"]["tfidf_linear_svm"]
        joint.append(metrics["accuracy"])
        linear.append(svm["accuracy"])
        differences.append(svm["comparison"]["difference"])
    spread = f" ± {stdev(differences):.4f}" if seeds > 1 else ""
    return [
        Requirement(
            f"{name}: {num_rows:,} rows, joint minus linear SVM, accuracy",
            0.0,
            fmean(differences),
            baseline=0.0,
            note=f"joint {fmean(joint):.4f}, SVM {fmean(linear):.4f}; differences {_listed(differences)}{spread}",
        )
    ]


def train_and_evaluate(
    paths: Paths,
    name: str,
    catalogs: Catalogs,
    seed: int = 0,
    with_pictures: bool = False,
    fields: Sequence[str] = (),
) -> tuple[dict, float]:
    """Train a bundle and evaluate it with the baselines and the field grid.

    Args:
        name: name of the bundle's folder.
        fields: the fields that the model reads; empty for all.
    Returns:
        The metrics, and the time of training, seconds.
    """
    bundle, report = paths.out / name, paths.out / f"{name}-report"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    flags: list[str | Path] = ["--seed", str(seed), "--cache-dir", paths.cache]
    flags += ["--image-weights", paths.weights / _WEIGHTS] if with_pictures else []
    flags += ["--fields", *fields] if fields else []
    train_s, _ = run_training("train", "--train", catalogs.train, "--val", catalogs.val, "--bundle", bundle, *flags)
    run_training(
        "evaluate", "--bundle", bundle, "--catalog", catalogs.test, "--report", report,
        "--baseline", catalogs.train, "--field-grid", "--cache-dir", paths.cache,
    )  # fmt: skip
    return json.loads((report / "metrics.json").read_text(encoding="utf-8")), train_s


#: The parts by the name of the folder of their set.
PARTS: dict[str, Callable[[Paths], list[Requirement]]] = {
    "naver2019": naver2019,
    "mwpd2020": mwpd2020,
    "fashion224": fashion224,
}


def _calibration_requirements(name: str, metrics: dict, min_coverage: float) -> list[Requirement]:
    """Measure calibration and contract on rows that they were not fitted on."""
    found, linear = metrics["calibration"], metrics["baselines"]["baselines"]["tfidf_linear_svm"]
    fitted, own = found["cross_fitted"], metrics["contract"]
    return [
        Requirement(
            f"{name}: calibration error, cross-fitted",
            0.02,
            fitted["expected_calibration_error"],
            is_upper=True,
            note=f"with the stored temperature {found['stored']['expected_calibration_error']:.4f}",
        ),
        Requirement(
            f"{name}: coverage at 98 % precision, cross-fitted",
            min_coverage,
            fitted["leaf_accepted_share"],
            baseline=linear["coverage_at_precision"]["0.98"],
            note=f"precision {_figure(fitted['leaf_accepted_precision'])}; stored thresholds"
            f" {own['leaf_accepted_share']:.4f} at {_figure(own['leaf_accepted_precision'])}; SVM with hindsight",
        ),
    ]


def _absent_field_requirements(paths: Paths, name: str, metrics: dict, fields: Sequence[str]) -> list[Requirement]:
    """Measure the joint head without each field, compared with a model trained without that field.

    Args:
        metrics: metrics of the bundle that reads all `fields`.
    """
    requirements = []
    for absent in fields:
        others = [field for field in fields if field != absent]
        without, _ = train_and_evaluate(
            paths,
            f"{name}-without-{absent}",
            Catalogs.of(paths.data / name),
            with_pictures="image" in others,
            fields=others,
        )
        joint = _given(metrics, others)["accuracy"]
        requirements.append(
            Requirement(
                f"{name}: {absent} absent, joint minus a model trained without it",
                -0.01,
                joint - without["accuracy"],
                note=f"{joint:.4f} and {without['accuracy']:.4f}",
            )
        )
    return requirements


def _given(metrics: dict, fields: Sequence[str]) -> dict:
    """Return the field grid's entry for exactly these fields."""
    (entry,) = (entry for entry in metrics["field_grid"]["given"] if entry["fields"] == list(fields))
    return dict(entry)


def _alone(metrics: dict, field: str) -> float:
    """Return the accuracy with one field: of its own head or of the joint head, the better."""
    return max(_given(metrics, [field])["accuracy"], metrics["heads"][field]["accuracy"])


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:+.4f}" for value in values)
