"""The evaluation report: metrics.json for programs, report.html for people, and its plots."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model.machine.whole_file import whole_file
from model.prediction.answers import WordSupport
from model.taxonomy import SEPARATOR, Taxonomy
from training.metrics.classification import CategoryRow, ConfusedPair
from training.metrics.confidence import ReliabilityBins, RiskCoverage
from training.metrics.hierarchy import SiblingPair
from training.report.comparison_verdict import (
    BASELINE_WORDS,
    baseline_sentences,
    bundle_comparison_sentences,
    other_bundle_words,
    p_words,
    points,
)
from training.report.contract_text import interval_text, kept_text, percent, target_text
from training.report.plots import (
    DARK,
    LIGHT,
    MEASURES,
    Palette,
    accuracy_bars_plot,
    data_url,
    has_learning_curves,
    learning_curves_plot,
    reliability_plot,
    risk_coverage_plot,
)
from training.report.verdict import GROUPING_WORDS, verdict, weakest_categories

TEMPLATE = "page.html.jinja"
METRICS_FILE = "metrics.json"
REPORT_FILE = "report.html"
NUM_WEAKEST = 12
NUM_CONFUSED_PAIRS = 12
NUM_SIBLING_PAIRS = 40
MAX_WORDS = 3

PICTURES = ("reliability", "risk_coverage", "level_accuracy", "head_accuracy", "learning_loss", "learning_accuracy")

#: Draws one plot in the given colours.
Plot = Callable[[Palette], bytes]


@dataclass(frozen=True)
class HeadAnswer:
    """The answer of a single head: its most probable category, with its probability, 0 to 1."""

    head: str
    category: str
    probability: float


@dataclass(frozen=True)
class ConfidentError:
    """A wrong answer with high confidence: a mistake of the model, or a wrong label.

    Args:
        truth, answer: category paths.
        probability: probability of the answer, 0 to 1.
        is_accepted: True when a leaf was accepted, so that no person would review the answer.
        thumbnail: a data:image/ URI, '' without a picture.
        heads: the answers of the heads that had an input.
        words: support of the name's words for the answer, the strongest first.
    Raises:
        ValueError: the thumbnail is not a data:image/ URI; the page must be self-contained.
    """

    product_id: str
    product_name: str
    mall_category: str
    truth: str
    answer: str
    probability: float
    is_accepted: bool
    thumbnail: str = ""
    heads: Sequence[HeadAnswer] = ()
    words: Sequence[WordSupport] = ()

    @property
    def supporting_words(self) -> list[WordSupport]:
        """The words with the most support for the answer."""
        return [word for word in self.words if word.support > 0][:MAX_WORDS]

    def __post_init__(self) -> None:
        if self.thumbnail and not self.thumbnail.startswith("data:image/"):
            raise ValueError(
                f"product {self.product_id}: expected a thumbnail as a data:image/ URI, found "
                f"{self.thumbnail[:40]!r}; embed the picture, or leave it empty"
            )


@dataclass(frozen=True)
class ReportDetails:
    """The content of the page beside the metrics.

    Args:
        created_at: date and time for the reader, as text.
        precision_target, precision_confidence: the precision contract, 0 to 1.
        category_rows, confused_pairs, sibling_pairs: from `training.metrics`.
        confident_errors: in the order of the page.
        reject_counts: rejected rows, {reason: number}.
        history: a dict of figures per training epoch, see `plots.learning_curves_plot`.
        settings: {group: {name: value}}, as the bundle stores them.
        facts: further lines of "How this was measured", such as {"Engine": "openvino, float32"}.
    """

    title: str
    bundle_name: str
    bundle_version: str
    catalog_name: str
    created_at: str
    taxonomy: Taxonomy
    precision_target: float
    precision_confidence: float
    reliability: ReliabilityBins
    risk_coverage: RiskCoverage
    category_rows: Sequence[CategoryRow]
    confused_pairs: Sequence[ConfusedPair]
    sibling_pairs: Sequence[SiblingPair] = ()
    confident_errors: Sequence[ConfidentError] = ()
    reject_counts: Mapping[str, int] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


def write_report(report_dir: Path, metrics: Mapping[str, Any], details: ReportDetails) -> Path:
    """Write metrics.json, the plots and the self-contained report.html.

    Args:
        report_dir: created when missing; files of an older report there are replaced or removed.
        metrics: from `training.metrics.classification.evaluation_metrics`; unknown entries are in metrics.json only.
    Returns:
        Path of report.html.
    Raises:
        OSError: the disk refuses, with the name of the file.
    """
    metrics = plain(metrics)
    report_dir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(metrics, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    with whole_file(report_dir / METRICS_FILE) as file:
        file.write_text(text + "\n", encoding="utf-8")
    plots = _plots(metrics, details)
    for name in set(PICTURES) - set(plots):
        (report_dir / f"{name}.png").unlink(missing_ok=True)
    pictures = {}
    for name, plot in plots.items():
        light = plot(LIGHT)
        with whole_file(report_dir / f"{name}.png") as file:
            file.write_bytes(light)
        pictures[name] = {"light": data_url(light), "dark": data_url(plot(DARK))}
    path = report_dir / REPORT_FILE
    with whole_file(path) as file:
        file.write_text(render(metrics, details, pictures), encoding="utf-8")
    return path


def render(metrics: Mapping[str, Any], details: ReportDetails, pictures: Mapping[str, Mapping[str, str]]) -> str:
    """Render the page.

    Args:
        pictures: {name: {"light": data URI, "dark": data URI}}.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "interval": interval_text,
        "kept": partial(kept_text, precision_target=details.precision_target),
        "levels": _levels,
        "setting": _setting_text,
        "points": points,
        "p_words": p_words,
        "heading": _heading,
    }
    return environment.get_template(TEMPLATE).render(
        **_comparisons(metrics, details),
        metrics=metrics,
        details=details,
        pictures=pictures,
        sentences=verdict(metrics, details.precision_target, details.category_rows),
        target=target_text(details.precision_target),
        outcomes=_outcomes(metrics["contract"]),
        grouping_words=GROUPING_WORDS,
        weakest=weakest_categories(details.category_rows, NUM_WEAKEST),
        confused_pairs=details.confused_pairs[:NUM_CONFUSED_PAIRS],
        sibling_pairs=details.sibling_pairs[:NUM_SIBLING_PAIRS],
        categories=sorted(details.category_rows, key=lambda row: round(row.support * ((row.recall or 0.0) - 1))),
    )


def plain(value: Any) -> Any:
    """Convert to JSON values: numpy values unwrapped, NaN and infinity as null, which means "not measured"."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _plots(metrics: Mapping[str, Any], details: ReportDetails) -> dict[str, Plot]:
    """Return the plots that have data, by file name."""
    levels = {f"level {level['depth']} ({level['num_nodes']:,})": level["accuracy"] for level in metrics["levels"]}
    heads = {head.replace("_", " "): entry["accuracy"] for head, entry in metrics["heads"].items()}
    plots: dict[str, Plot] = {}
    if metrics["count"]:
        plots["reliability"] = partial(reliability_plot, details.reliability)
        plots["risk_coverage"] = partial(risk_coverage_plot, details.risk_coverage, details.precision_target)
        plots["level_accuracy"] = partial(accuracy_bars_plot, levels)
        plots["head_accuracy"] = partial(accuracy_bars_plot, heads)
    for measure in MEASURES:
        if has_learning_curves(details.history, measure):
            plots[f"learning_{measure}"] = partial(learning_curves_plot, details.history, measure)
    return plots


def _comparisons(metrics: Mapping[str, Any], details: ReportDetails) -> dict[str, Any]:
    """Return the texts of the optional sections."""
    texts: dict[str, Any] = {"baseline_words": BASELINE_WORDS}
    if "baselines" in metrics:
        texts["baseline_sentences"] = baseline_sentences(metrics["baselines"])
    if "bundle_comparison" in metrics:
        this = f"{details.bundle_name} version {details.bundle_version}"
        texts["bundle_comparison_sentences"] = bundle_comparison_sentences(metrics["bundle_comparison"], this)
        texts["other_bundle"] = other_bundle_words(metrics["bundle_comparison"], this)
    return texts


def _outcomes(contract: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Divide the products by outcome: (CSS class, text, share), shares sum to 1; empty without products."""
    if not contract["count"]:
        return []
    at_leaf, at_any_level = contract["leaf_accepted_share"], contract["accepted_share"]
    right = at_any_level * (contract["accepted_precision"] or 0.0)
    right_leaf = at_leaf * (contract["leaf_accepted_precision"] or 0.0)
    outcomes = [
        ("right", "accepted at a leaf, right", right_leaf),
        ("higher", "accepted at a higher level, right", right - right_leaf),
        ("wrong", "accepted, wrong", at_any_level - right),
        ("review", "nothing accepted", 1 - at_any_level),
    ]
    return [(name, text, share) for name, text, share in outcomes if share > 1e-9]


def _levels(path: str) -> list[str]:
    return path.split(SEPARATOR)


def _heading(words: str) -> str:
    """Capitalise the heading of a row: 'the most frequent category' becomes 'Most frequent category'."""
    words = words.removeprefix("the ")
    return words[:1].upper() + words[1:]


def _setting_text(value: Any) -> str:
    """Format a setting's value."""
    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
