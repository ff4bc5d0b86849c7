"""Products from pairs: rows of a catalog that pairs connect are one product."""

from collections.abc import Collection
from pathlib import Path

from catalog.pairs import read_labelled_pairs
from catalog.rejects import Rejects
from model.errors import CatalogError


def product_of_rows(path: Path, known_ids: Collection[str], rejects: Rejects) -> dict[str, str]:
    """Read which product each row of a file of pairs is: rows that pairs connect are one (union-find, Tarjan 1975).

    Rows that are the same as no other are products by themselves, as what others are told from.

    Args:
        known_ids: product_id of the catalogs' rows.
        rejects: receives bad rows of the file; the rest is read.
    Returns:
        product by product_id: the first id of its rows in the file.
    Raises:
        CatalogError: see `read_labelled_pairs`; or no pair is left.
    """
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents[name] != name:
            parents[name] = name = parents[parents[name]]
        return name

    pairs = read_labelled_pairs([path], known_ids, rejects)
    if not pairs:
        raise CatalogError(f"{path}: expected pairs, found no good one, {rejects.summary()}")
    for pair in pairs:
        for name in (pair.left_id, pair.right_id):
            parents.setdefault(name, name)
        if pair.same:
            parents[root(pair.right_id)] = root(pair.left_id)
    return {name: root(name) for name in parents}
