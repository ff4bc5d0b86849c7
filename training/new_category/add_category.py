"""`training add-category`: a bundle and a few examples in, a bundle that knows new categories out."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from catalog.columns import did_you_mean
from catalog.labels.label_space import LabelSpace
from catalog.labels.taxonomy_file import ancestors, read_taxonomy
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects, see_rejects
from catalog.rows import read_catalog
from model.bundle.bundle import Bundle, load_bundle
from model.bundle.writing import derive_bundle
from model.engines.engine_choice import open_engine
from model.engines.export import replace_classifier
from model.errors import CatalogError, TaxonomyError
from model.network.wider_classifier import load_classifier, set_columns, widen_classifier
from model.predictor import Predictor
from model.taxonomy import Taxonomy
from training.new_category.contract_proof import ContractProof, prove_contract
from training.new_category.cost import NewCategoryCost, measure_cost
from training.new_category.head_columns import HeadColumns, LabelledRows, fit_heads
from training.new_category.head_probe import HeadProbe
from training.predict.answered_catalog import CatalogSource
from training.report.model_card import rewrite_bundle

#: Fewer say too little of what a category is like.
MIN_EXAMPLES = 3
#: Rows of the validation catalog that new categories are held against.
_MAX_OLD_ROWS = 8000


@dataclass(frozen=True)
class AddCategoryJob:
    """Categories to add, and the place of the result.

    Args:
        catalog: rows of the new categories.
        val: labelled rows of the old categories, perhaps some of the new ones.
        read_options: how its file is read.
        taxonomy: the shop's tree with the new categories, for their ids; or None.
        rejects: CSV of the rows that could not be used.
    """

    bundle: Path
    catalog: Path
    val: Path
    out: Path
    read_options: ReadOptions
    taxonomy: Path | None
    rejects: Path
    cache_dir: Path


def add_category(job: AddCategoryJob) -> tuple[NewCategoryCost, dict[str, Any]]:
    """Add the categories of a catalog as new leaves and write the new bundle.

    Every head gets a column for each new leaf, fitted to what the head reads of the examples and of the old rows
    (`new_columns.py`); the old columns stay, so the old leaves keep their order among each other. The precision
    contract does not cover new leaves, nor nodes above them: they are answered, and left for review. For the others
    it is proven anew on the labelled products of `val`.

    Returns:
        what it costs the old categories and how many products of the new ones are found, and the contract as
        `contract_metrics` measures it.
    Raises:
        BundleError: the bundle is damaged, or --out is taken.
        CatalogError: a catalog cannot be read, or has too few usable rows.
        TaxonomyError: a category is there already, or lies above or below an old one.
    """
    bundle = load_bundle(job.bundle)
    tree = read_taxonomy(job.taxonomy, job.read_options.separator) if job.taxonomy is not None else None
    new_leaves = read_new_leaves(job.catalog, job.read_options, bundle.taxonomy, tree)
    taxonomy = extended(bundle.taxonomy, new_leaves, tree)
    results: list[tuple[NewCategoryCost, dict[str, Any]]] = []

    def add(folder: Path) -> None:
        old_classifier = load_classifier(folder)
        classifier = widen_classifier(old_classifier, bundle.taxonomy.num_leaves, len(new_leaves))
        examples, old = _probed(job, bundle, taxonomy, classifier)
        columns = HeadColumns.of(bundle, old_classifier)
        cost = measure_cost(columns, examples, old, bundle.taxonomy, new_leaves)
        for head, (kernel, biases) in fit_heads(columns, examples, old.known(bundle.taxonomy.num_leaves)).items():
            set_columns(classifier, head, kernel, biases)
        replace_classifier(folder, classifier)
        unproven = (*bundle.calibration.unproven, *new_leaves)
        calibration = replace(bundle.calibration.deepened(taxonomy.depth), unproven=unproven)
        changed = replace(bundle, path=folder, taxonomy=taxonomy, calibration=calibration)
        proof = _proof(changed, job)
        metrics = {
            **bundle.metrics,
            "contract": proof.contract,
            "field_combinations": proof.field_combinations,
            "training_products": _training_products(bundle, examples),
            # What held for the old model.
            "contract_by_precision": {},
            "lower_promises": [],
            "new_category_costs": [*bundle.metrics.get("new_category_costs", []), cost.to_dict()],
        }
        rewrite_bundle(folder, replace(changed, calibration=proof.calibration, metrics=metrics))
        results.append((cost, proof.contract))

    derive_bundle(job.bundle, job.out, add)
    return results[0]


def _training_products(bundle: Bundle, examples: LabelledRows) -> list[int]:
    """By leaf of the new tree; none where the bundle, of an older program, does not say it of its own."""
    old = bundle.metrics.get("training_products", [])
    added: list[int] = np.bincount(examples.labels, minlength=len(old)).tolist()
    return [count + (old[leaf] if leaf < len(old) else 0) for leaf, count in enumerate(added)] if old else []


def _proof(bundle: Bundle, job: AddCategoryJob) -> ContractProof:
    """Thresholds that hold for the changed model, and the contract as measured."""
    predictor = Predictor(bundle, open_engine(bundle.path))
    try:
        return prove_contract(predictor, CatalogSource(job.val, job.read_options, job.cache_dir))
    finally:
        predictor.close()


def extended(taxonomy: Taxonomy, new_leaves: Sequence[str], tree: Taxonomy | None) -> Taxonomy:
    """A tree with further leaves behind its own, and with the ids that `tree` has for them and the nodes above."""
    above = {node for leaf in new_leaves for node in ancestors(leaf)}
    ids = {node: tree.category_id(node) for node in (*new_leaves, *above) if tree.category_id(node)} if tree else {}
    return Taxonomy((*taxonomy.leaves, *new_leaves), {**ids, **taxonomy.category_ids})


def read_new_leaves(
    catalog: Path, options: ReadOptions, taxonomy: Taxonomy, tree: Taxonomy | None = None
) -> tuple[str, ...]:
    """The categories of a catalog, sorted, when all of them can become leaves.

    Args:
        taxonomy: the bundle's.
        tree: the shop's; its leaves may be named by id.
    Raises:
        CatalogError: the catalog cannot be read or no row has a category.
        TaxonomyError: a category is there already, or lies above or below another leaf; says which.
    """
    paths = {**(tree.nodes_by_id if tree else {}), **taxonomy.nodes_by_id}
    labels = (row.category for rows in read_catalog(catalog, options) for row in rows if row.category)
    counts = Counter(paths.get(label, label) for label in labels)
    if not counts:
        raise CatalogError(
            f"{catalog}: expected rows with a new category each, found none; fill in the category column"
        )
    for leaf in counts:
        if taxonomy.class_of(leaf) is not None:
            raise TaxonomyError(
                f"{catalog}: expected new categories only, found {leaf!r}, which the bundle has; leave its"
                f" {counts[leaf]} rows out, or train again with them"
            )
        if taxonomy.node_position(leaf) is not None:
            below = next(old for old in taxonomy.leaves if old.startswith(f"{leaf}>"))
            raise TaxonomyError(
                f"{catalog}: expected leaves, found {leaf!r}, which has categories below it, such as {below!r}; give"
                " the new category a level of its own"
            )
        if tree is not None and tree.class_of(leaf) is None:
            raise TaxonomyError(
                f"{catalog}: expected leaves of the taxonomy, found {leaf!r}{did_you_mean(leaf, tree.leaves)}; correct"
                " the category, or add it to --taxonomy"
            )
    try:
        Taxonomy((*taxonomy.leaves, *counts))
    except TaxonomyError as error:
        raise TaxonomyError(
            f"{catalog}: {error}; put the new category beside that leaf, or train again with a tree that splits it"
        ) from error
    return tuple(sorted(counts))


def _probed(
    job: AddCategoryJob, bundle: Bundle, taxonomy: Taxonomy, classifier: keras.Model
) -> tuple[LabelledRows, LabelledRows]:
    """Examples and validation rows, with labels in the new tree."""
    labels = LabelSpace(taxonomy, "the bundle's tree and the new categories")
    num_old = bundle.taxonomy.num_leaves
    with closing(HeadProbe(bundle, classifier, job.cache_dir)) as probe, Rejects(job.rejects) as rejects:
        examples = _labelled(probe, job.catalog, job, labels, rejects)
        for i, leaf in enumerate(taxonomy.leaves[num_old:], start=num_old):
            num_examples = int((examples.labels == i).sum())
            if num_examples < MIN_EXAMPLES:
                raise CatalogError(
                    f"{job.catalog}: expected {MIN_EXAMPLES} or more usable products of {leaf!r}, found {num_examples};"
                    f" add some, {rejects.summary()}"
                )
        val = _labelled(probe, job.val, job, labels, rejects)
    if not (val.labels < num_old).any():
        raise CatalogError(
            f"{job.val}: expected labelled products of the old categories, found none{see_rejects(job.rejects)}"
        )
    return examples, val


def _labelled(
    probe: HeadProbe, catalog: Path, job: AddCategoryJob, labels: LabelSpace, rejects: Rejects
) -> LabelledRows:
    probed = probe.probe(catalog, job.read_options, rejects, _MAX_OLD_ROWS)
    classes = [labels.class_of(row) for row in probed.rows]
    for row, found in zip(probed.rows, classes, strict=True):
        if isinstance(found, str):
            rejects.add(catalog, row.line, row.product_id, found)
    kept = np.array([i for i, found in enumerate(classes) if not isinstance(found, str)], int)
    return LabelledRows(np.array([classes[i] for i in kept], int), probed.presence[kept], probed.views_of(kept))
