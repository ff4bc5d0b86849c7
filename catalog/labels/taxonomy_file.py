"""The shop's own category tree, read from a CSV or TSV of category_id and category."""

from pathlib import Path

from catalog.formats.delimited_records import delimited_records
from catalog.formats.text_lines import printable
from model.errors import CatalogError, TaxonomyError
from model.taxonomy import SEPARATOR, Taxonomy, normalize_path


def read_taxonomy(path: Path, separator: str = SEPARATOR) -> Taxonomy:
    """Read a tree; its leaves are the paths with no other below them, sorted.

    Internal nodes may be listed too, to give them an id. An id may be empty; other columns are ignored.

    Args:
        separator: text between the levels of a path.

    Raises:
        CatalogError: the file cannot be read.
        TaxonomyError: a heading or a category is missing, a line is bad, or a path or an id stands for two things.
    """
    if not path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        raise CatalogError(f"{path}: expected a taxonomy that ends in .csv or .tsv, found {path.name!r}; convert it")

    def on_bad(line: int, _fields: list[str], reason: str) -> None:
        raise TaxonomyError(f"{path}, line {line}: {reason}")

    records = delimited_records(path, on_bad)
    headings = [heading.strip() for heading in next(records)[1]]
    for wanted in ("category_id", "category"):
        if headings.count(wanted) != 1:
            listed = ", ".join(f"'{printable(heading)}'" for heading in headings)
            raise TaxonomyError(f"{path}: expected headings category_id and category, found {listed}; rename them")
    id_index, path_index = headings.index("category_id"), headings.index("category")
    ids: dict[str, str] = {}
    owners: dict[str, str] = {}
    for line, fields in records:
        _add_node(
            f"{path}, line {line}",
            fields[id_index].strip(),
            fields[path_index].replace(separator, SEPARATOR),
            ids,
            owners,
        )
    return Taxonomy(_leaves(ids), {node: category_id for node, category_id in ids.items() if category_id})


def ancestors(path: str) -> list[str]:
    """The nodes above a path, nearest first: 'A>B>C' gives ['A>B', 'A']."""
    levels = path.split(SEPARATOR)
    return [SEPARATOR.join(levels[:depth]) for depth in range(len(levels) - 1, 0, -1)]


def _add_node(where: str, category_id: str, category: str, ids: dict[str, str], owners: dict[str, str]) -> None:
    node = normalize_path(category)
    if not printable(node + category_id) == node + category_id:
        raise TaxonomyError(f"{where}: expected UTF-8, found '{printable(category)}'; save the file as UTF-8")
    if not node:
        raise TaxonomyError(f"{where}: expected a category, found none; write levels joined by '>'")
    if ids.setdefault(node, category_id) != category_id:
        raise TaxonomyError(f"{where}: category {node!r} has the ids {ids[node]!r} and {category_id!r}; keep one")
    if category_id and (owner := owners.setdefault(normalize_path(category_id), node)) != node:
        raise TaxonomyError(f"{where}: the id {category_id!r} stands for {owner!r} and {node!r}; give each its own")


def _leaves(nodes: dict[str, str]) -> list[str]:
    inner = {above for node in nodes for above in ancestors(node)}
    return sorted(node for node in nodes if node not in inner)
