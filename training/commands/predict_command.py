"""The command `python -m training predict`: answers to every row of a catalog."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from model.engines.engine import EngineName, Precision
from model.errors import SettingsError, TaxonomyError
from model.sub_tree import SubTree, find_sub_tree
from model.taxonomy import Taxonomy


@dataclass(frozen=True)
class PredictCommand:
    """Answer every row of a catalog."""

    bundle: Path
    """Bundle to use."""
    catalog: Path
    """Catalog to answer."""
    out: Path
    """Answers, .csv or .parquet."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    engine: EngineName = "auto"
    """Inference engine; auto takes Keras where it finds a GPU, else OpenVINO."""
    precision: Precision = "float32"
    """Arithmetic inside the engine; auto takes bfloat16 where the device computes in it."""
    rejects: Path | None = None
    """Rows that could not be answered, CSV; by default OUT.rejects.csv."""
    mask_parent: str = ""
    """Category that all answers are restricted to, its levels joined by '>'; empty is the whole tree."""
    max_lost_pictures: float | None = None
    """Share of the pictures that may be unreadable, 0 to 1; by default what the bundle was trained with."""
    resume: bool = False
    """Go on where an interrupted run with the same flags stopped, with the same result."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures."""


def run_predict(command: PredictCommand) -> str:
    """Answer the rows, and say how many were."""
    from model.predictor import Predictor
    from training.predict.answered_catalog import CatalogSource
    from training.predict.predict import predict

    rejects = command.rejects or command.out.with_name(f"{command.out.name}.rejects.csv")
    if rejects == command.out:
        raise SettingsError("--rejects and --out name the same file; give two")
    predictor = Predictor.open(command.bundle, command.engine, command.precision)
    catalog = CatalogSource(
        command.catalog, command.read_options, command.cache_dir, max_lost_pictures=command.max_lost_pictures
    )
    sub_tree = _sub_tree(predictor.bundle.taxonomy, command.mask_parent)
    answered, rejected = predict(predictor, catalog, command.out, rejects, sub_tree, command.resume)
    suffix = f", {rejected} rejected, with reasons in {rejects}" if rejected else ""
    return f"{answered} rows answered in {command.out}{suffix}"


def _sub_tree(taxonomy: Taxonomy, mask_parent: str) -> SubTree | None:
    try:
        return find_sub_tree(taxonomy, mask_parent) if mask_parent else None
    except TaxonomyError as error:
        raise TaxonomyError(f"--mask-parent: {error}") from error
