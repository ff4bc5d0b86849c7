"""Shopee's ladder on a catalog with groups: from names alone to the matcher, each rung on the same offers."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from catalog.rejects import Rejects
from model.errors import MatcherError, TrainingError
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.index.index_folder import open_index
from retrieval.ladder.group_score import GroupScore, score_groups
from retrieval.ladder.picture_vectors import PictureVectors, bundle_vectors, index_vectors, learned_vectors, rows_of
from retrieval.ladder.pool import Pool, grouped_offers, joined, split_by_group
from retrieval.ladder.rungs import (
    Learned,
    Pictures,
    alone,
    by_matcher,
    learn_both,
    learn_threshold,
    train_on_groups,
)
from retrieval.ladder.similarity import Similarity, name_similarity
from retrieval.ladder.word_vectors import name_vectors, reads_names, tokenizer_of_names
from retrieval.matching.matcher.matcher import Matcher
from retrieval.matching.offers.offer_reading import read_offers
from retrieval.settings import MatcherSettings, MetricSettings

NUM_PARTS = 3
_LEAST_GROUPS = 2 * NUM_PARTS
_NO_NAMES = "the offers have no product_name"


@dataclass(frozen=True)
class LadderJob:
    """Inputs of the ladder.

    Args:
        catalog: with group_id.
        bundle: for the vectors of pictures and of words; None makes do without.
        index: whose vectors of pictures are compared in place of the bundle's; '' for none.
        learns_vectors: whether metric learning is a rung.
        backbones: image encoders that it starts from; none is the bundle's own.
        seed: of the parts that the groups are dealt out to.
    """

    catalog: CatalogSource
    bundle: Path | None = None
    index: str = ""
    learns_vectors: bool = True
    backbones: tuple[str, ...] = ()
    seed: int = 0
    metric: MetricSettings = field(default_factory=lambda: MetricSettings(loss="arcface"))
    matcher: MatcherSettings = field(default_factory=MatcherSettings)


@dataclass(frozen=True)
class RungResult:
    """A line of the table.

    Args:
        title: for people.
        learned, score, called: what was chosen, how good it is, and the pairs that it called the same.
        skipped: why it could not be measured; '' where it could.
    """

    name: str
    title: str
    learned: Learned | None = None
    score: GroupScore | None = None
    called: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    skipped: str = ""

    @property
    def figures(self) -> dict[str, Any]:
        """The line for programs."""
        if self.score is None or self.learned is None:
            return {"skipped": self.skipped}
        chosen = {name: value if math.isfinite(value) else None for name, value in self.learned.chosen.items()}
        return {**self.score.figures, **chosen}

    @property
    def chosen(self) -> str:
        """The choice in words, for people."""
        named = self.learned.chosen.items() if self.learned is not None else ()
        return ", ".join(
            f"{name.replace('_', ' ')} {value:.3g}" if math.isfinite(value) else f"no {name} finds more than nothing"
            for name, value in named
        )


class Ladder:
    """The rungs of one catalog. A third of the groups is reported on, and nothing is learned from these.

    Thresholds, weights and the matcher are learned on another third. The last third is for metric learning, since
    vectors of the groups that they were learned from are closer than others will be; where there is none, it goes to
    the thresholds.

    Raises:
        BundleError, CatalogError, VectorIndexError: an input cannot be read; the catalog has too few groups.
    """

    def __init__(self, job: LadderJob):
        self._job = job
        with Rejects(None) as rejects:
            table = read_offers(job.catalog.path, job.catalog.read_options, rejects)
        pool = grouped_offers(table.product_ids, table.offers, _LEAST_GROUPS)
        self._num_left_out = len(table) - len(pool.offers)
        self._embedder = None if job.bundle is None else Embedder.open(job.bundle)
        self._own = self._own_vectors(pool)
        self._why_not_learned = self._find_why_not_learned()
        self.reported, tuning, last = split_by_group(pool, NUM_PARTS, job.seed)
        self._learning = None if self._why_not_learned else last
        self._tuning = joined([tuning, last]) if self._why_not_learned else tuning
        self._has_names = all(any(part.names) for part in (self.reported, self._tuning))

    def climb(self) -> Iterator[RungResult]:
        """Measure the rungs one by one, from the lowest."""
        loss = self._job.metric.loss
        rungs: tuple[tuple[str, str, Callable[[], Learned | str]], ...] = (
            ("alone", "each offer by itself", alone),
            ("tfidf", "TF-IDF of names, nearest neighbours", self._tfidf),
            ("word2vec", "Word2Vec of names, cosine", self._word2vec),
            ("picture", "vectors of pictures as they are, cosine", lambda: self._pictures(self._own)),
            (f"picture_{loss}", f"vectors of pictures after metric learning, {loss}", self._learned_pictures),
            ("text_and_picture", "TF-IDF of names and the best vectors of pictures", self._both),
            ("matcher", "the matcher, trained on groups", lambda: self._by_matcher(are_grouped=False)),
            (
                "matcher_groups",
                "its groups, by complete linkage",
                lambda: self._by_matcher(are_grouped=True),
            ),
        )
        for name, title, learn in rungs:
            learned = learn()
            if isinstance(learned, str):
                yield RungResult(name, title, skipped=learned)
            else:
                called = learned.calls_same(self.reported)
                yield RungResult(name, title, learned, score_groups(self.reported.groups, called), called)

    @property
    def figures(self) -> dict[str, Any]:
        """The subject, for programs."""
        parts = {"reported": self.reported, "thresholds": self._tuning, "metric_learning": self._learning}
        sizes = {
            name: {"num_offers": len(part.offers), "num_groups": part.num_groups}
            for name, part in parts.items()
            if part is not None
        }
        return {"task": "same", "seed": self._job.seed, "num_offers_without_group": self._num_left_out, **sizes}

    def _tfidf(self) -> Learned | str:
        return learn_threshold(_names, self._tuning) if self._has_names else _NO_NAMES

    def _word2vec(self) -> Learned | str:
        if not self._has_names:
            return _NO_NAMES
        tokenizer = None if self._embedder is None else self._embedder.predictor.preprocessor.tokenizer
        if tokenizer is None or not reads_names(tokenizer):
            tokenizer = tokenizer_of_names(self._tuning.names, self._job.seed)
        return learn_threshold(lambda pool: Similarity(name_vectors(tokenizer, pool.names)), self._tuning)

    def _pictures(self, vectors: PictureVectors | str) -> Learned | str:
        if isinstance(vectors, str):
            return vectors
        return learn_threshold(lambda pool: Similarity(rows_of(vectors, pool.product_ids)), self._tuning)

    def _learned_pictures(self) -> Learned | str:
        return self._pictures(self._learned)

    def _both(self) -> Learned | str:
        if not self._has_names:
            return _NO_NAMES
        vectors = self._best
        if isinstance(vectors, str):
            return vectors
        return learn_both(_names, lambda pool: Similarity(rows_of(vectors, pool.product_ids)), self._tuning)

    def _by_matcher(self, are_grouped: bool) -> Learned | str:
        if isinstance(self._matcher, str):
            return self._matcher
        return by_matcher(self._matcher, self._best_rows, are_grouped)

    @cached_property
    def _matcher(self) -> Matcher | str:
        try:
            return train_on_groups(self._best_rows, self._tuning, self._job.matcher)
        except MatcherError as error:
            return str(error)

    @property
    def _best_rows(self) -> Pictures | None:
        vectors = self._best
        return None if isinstance(vectors, str) else lambda pool: rows_of(vectors, pool.product_ids)

    @cached_property
    def _learned(self) -> PictureVectors | str:
        """Vectors of pictures after metric learning, or why there are none."""
        bundle = self._job.bundle
        if bundle is None or self._learning is None:
            return self._why_not_learned
        try:
            return learned_vectors(bundle, self._job.catalog, self._learning, self._job.backbones, self._job.metric)
        except TrainingError as error:
            return str(error)

    @property
    def _best(self) -> PictureVectors | str:
        return self._own if isinstance(self._learned, str) else self._learned

    def _own_vectors(self, pool: Pool) -> PictureVectors | str:
        """Vectors of pictures as the index or the bundle gives them, or why there are none."""
        vectors: PictureVectors = {}
        if self._job.index:
            with open_index(self._job.index) as engine:
                vectors = index_vectors(engine, pool.product_ids)
        elif self._embedder is not None and "image" in self._embedder.dims:
            vectors = bundle_vectors(self._embedder, self._job.catalog)
        elif self._embedder is not None:
            return "the bundle reads no pictures"
        else:
            return "no vectors of pictures; give --bundle or --index"
        return vectors if not vectors.keys().isdisjoint(pool.product_ids) else "no offer has a picture's vector"

    def _find_why_not_learned(self) -> str:
        """Say why vectors cannot be learned; '' where they can."""
        if not self._job.learns_vectors:
            return "not wanted (--no-learn-vectors)"
        if self._embedder is None:
            return "no image encoder to learn with; give --bundle"
        if "image" not in self._embedder.dims:
            return "the bundle reads no pictures"
        return self._own if isinstance(self._own, str) else ""


def _names(pool: Pool) -> Similarity:
    return name_similarity(pool.names)
