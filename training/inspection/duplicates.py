"""Products of a catalog under almost the same name, in the groups that a split does not tear apart."""

from collections import Counter
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from rich.console import Console

from training.encoding.parsed_catalog import ParsedCatalog
from training.inspection.headings import shortened
from training.splitting.near_duplicates import comparable_text, text_groups

#: Comparing more takes longer than a first look should: 100,000 names take some 20 s.
MAX_ROWS = 100_000
_NUM_EXAMPLES, _NUM_NAMES = 5, 4


@dataclass(frozen=True)
class DuplicateSummary:
    """Groups of near-duplicate names; see `training/splitting/near_duplicates.py`.

    Args:
        num_rows, num_compared: rows that were looked at, the first MAX_ROWS, and those of them that have a text.
        num_distinct: groups, of one row or more; a row without any text is one.
        num_grouped: rows that are in a group with others.
        examples: names of the largest groups, some of each.
        sizes: rows of these groups.
    """

    num_rows: int
    num_compared: int
    num_distinct: int
    num_grouped: int
    examples: list[list[str]]
    sizes: list[int]

    @classmethod
    def of(cls, catalog: ParsedCatalog) -> "DuplicateSummary":
        """Compare the names of a catalog."""
        rows = list(islice(chain.from_iterable(catalog.rows()), MAX_ROWS))
        texts = [comparable_text(row) for row in rows]
        with Console(stderr=True).status(f"Compare {len(rows):,} names of {catalog.path.name}"):
            groups = text_groups(texts)
        is_given = np.array([bool(text) for text in texts], bool)
        sizes = Counter(groups[is_given].tolist())
        largest = [(group, size) for group, size in sizes.most_common(_NUM_EXAMPLES) if size > 1]
        examples = [
            [shortened(rows[row].text("name") or texts[row]) for row in np.flatnonzero(groups == group)[:_NUM_NAMES]]
            for group, _ in largest
        ]
        num_grouped = sum(size for size in sizes.values() if size > 1)
        num_distinct = len(np.unique(groups))
        return cls(len(rows), int(is_given.sum()), num_distinct, num_grouped, examples, [size for _, size in largest])
