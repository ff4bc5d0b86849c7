"""Decisions of people about labels, from a file: issues.csv with a column `decision`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.formats.delimited_records import delimited_records
from catalog.formats.text_lines import printable
from catalog.rejects import RejectSink
from model.errors import LabelingError
from model.taxonomy import normalize_path

_REQUIRED = ("product_id", "decision", "row_checksum")
_SUGGESTED, _KEEP = "suggested", "keep"


@dataclass(frozen=True)
class Decision:
    """A decision about one product.

    Args:
        line: of the file, for the rejects.
        category: path to write; '' keeps the label as it is.
        row_checksum: of the row that was looked at, see `row_checksum`.
        decided_by: who decided; '' is not said.
    """

    line: int
    product_id: str
    category: str
    row_checksum: str
    decided_by: str


def read_decisions(path: Path, rejects: RejectSink) -> dict[str, Decision]:
    """Read the decisions by product id; rows without one are passed over, bad rows and contradictions rejected.

    `decision` is `suggested`, `keep`, or the path of a category.

    Raises:
        CatalogError: the file cannot be read.
        LabelingError: a column is missing.
    """
    records = delimited_records(path, lambda line, _fields, reason: rejects.add(path, line, "", reason))
    headings = [heading.strip() for heading in next(records)[1]]
    for name in _REQUIRED:
        if headings.count(name) != 1:
            raise LabelingError(
                f"{path}: expected the columns {', '.join(_REQUIRED)}, found {', '.join(map(printable, headings))}; add"
                " `decision` (suggested, keep, or a category) to issues.csv"
            )
    found: dict[str, Decision] = {}
    contradicted: set[str] = set()
    for line, fields in records:
        values = dict(zip(headings, fields, strict=True))
        if not normalize_path(values["decision"]):
            continue
        decision = _decision(line, values)
        if isinstance(decision, str):
            rejects.add(path, line, values["product_id"], decision)
        elif decision.product_id in found and found[decision.product_id].category != decision.category:
            contradicted.add(decision.product_id)
            rejects.add(path, line, decision.product_id, _CONTRADICTION)
        else:
            found[decision.product_id] = decision
    for product_id in contradicted:
        rejects.add(path, found.pop(product_id).line, product_id, _CONTRADICTION)
    return found


_CONTRADICTION = "contradiction: two rows decide the same product otherwise; keep the right one"


def _decision(line: int, values: Mapping[str, str]) -> Decision | str:
    """A decision, or the reason why there is none."""
    text = normalize_path(values["decision"])
    category = "" if text.lower() == _KEEP else text
    if text.lower() == _SUGGESTED:
        category = normalize_path(values.get("suggested", ""))
        if not category:
            return "no suggestion: expected a category in `suggested`, found none; write a category or keep"
    checksum = values["row_checksum"].strip()
    if not checksum:
        return "no checksum: expected `row_checksum` as in issues.csv, found none; take the row from there"
    return Decision(line, values["product_id"], category, checksum, values.get("decided_by", "").strip())
