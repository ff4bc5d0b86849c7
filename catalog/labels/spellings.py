"""The spellings of a catalog's labels, merged where they mean one category, or none."""

from collections import Counter
from collections.abc import Iterator

from catalog.labels.warnings import NULL_LABELS
from catalog.read_options import DEFAULT_OPTIONS, ReadOptions
from model.taxonomy import SEPARATOR, normalize_path

#: Labels repeat; where they do not, the column holds no categories, and no more are remembered.
_MAX_REMEMBERED = 300_000


class LabelSpellings:
    """Normalizes labels and remembers how each category was written; spaces around levels make no other spelling.

    Args:
        options: of which separator and keep_null_labels count.
    """

    def __init__(self, options: ReadOptions = DEFAULT_OPTIONS) -> None:
        self._separator = options.separator
        self._null_labels: frozenset[str] = frozenset() if options.keep_null_labels else NULL_LABELS
        self._categories: dict[str, str] = {}
        self._null_rows: Counter[str] = Counter()

    def category(self, label: str) -> str:
        """The normalized path of a label; '' for one that stands for none."""
        found = self._categories.get(label)
        if found is None:
            found = normalize_path(label.replace(self._separator, SEPARATOR))
            if len(self._categories) < _MAX_REMEMBERED:
                self._categories[label] = found
        if found.casefold() in self._null_labels:
            self._null_rows[found] += 1
            return ""
        return found

    def warnings(self) -> Iterator[str]:
        """Sentences on what was merged, and on what was read as no label."""
        if self._null_rows:
            names = ", ".join(map(repr, sorted(self._null_rows)))
            yield (
                f"{self._null_rows.total():,} rows are labelled {names}, which is read as no label; --keep-null-labels"
                " makes categories of them"
            )
        if merged := self._merged():
            yield merged

    def _merged(self) -> str:
        """One sentence on what was merged, with an example in ASCII, as the spellings look alike; '' for nothing."""
        spellings: dict[str, dict[str, None]] = {}
        for label, category in self._categories.items():
            levels = label.replace(self._separator, SEPARATOR).split(SEPARATOR)
            trimmed = SEPARATOR.join(filter(None, map(str.strip, levels)))
            spellings.setdefault(category, {})[trimmed] = None
        merged = {category: list(found) for category, found in spellings.items() if len(found) > 1}
        if not merged:
            return ""
        category, (first, second, *_) = next(iter(merged.items()))
        categories = "1 category" if len(merged) == 1 else f"{len(merged):,} categories"
        return (
            f"{sum(map(len, merged.values())):,} spellings of labels are read as {categories}, such as {first!a}"
            f" and {second!a} as {category!r}; they differ in Unicode form, invisible characters or spaces only"
        )
