"""The file plan.json: proposals about categories, each with `accepted`, which a person sets to true."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from catalog.rows import catalog_digest
from labeling.confusions.confusions import Confusions
from labeling.confusions.proposals import Proposal
from labeling.output_files import output_file
from model.errors import LabelingError
from model.taxonomy import SEPARATOR, normalize_path

PLAN_FILE = "plan.json"
_FORMAT = 1
_KINDS = ("merge", "split", "redefine")


@dataclass(frozen=True)
class PlanEntry:
    """One proposal as it stands in the file.

    Args:
        categories: paths.
        new_paths: one for a merge, two for a split, none for what only wants a better definition.
        toward: of a split, the category that each of its two kinds is most like.
        evidence: numbers by name.
        accepted: whether a person wants it done.
    """

    kind: str
    categories: list[str]
    new_paths: list[str]
    toward: list[str]
    evidence: dict[str, float]
    accepted: bool = False


@dataclass(frozen=True)
class Plan:
    """The proposals for one catalog.

    Args:
        checksum: of the catalog's file.
    """

    catalog: str
    checksum: str
    proposals: list[PlanEntry]

    @classmethod
    def of(cls, confusions: Confusions) -> Plan:
        """The plan that was found, of which nothing is accepted yet."""
        path = confusions.catalog.parsed.path
        entries = [_entry(confusions, proposal) for proposal in confusions.proposals]
        return cls(path.name, catalog_digest(path), entries)

    def write(self, path: Path) -> None:
        """Write the file.

        Raises:
            LabelingError: the disk refuses.
        """
        values = {"format": _FORMAT, **asdict(self)}
        with output_file(path) as aside:
            aside.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Undo `write`; paths are normalized.

        Raises:
            LabelingError: the file cannot be read, or something in it is not as `write` left it but for what a person
                may change: `accepted` and `new_paths`.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise LabelingError(f"{path} cannot be read: {error.strerror}; check the path") from error
        except ValueError as error:
            raise LabelingError(
                f"{path}: expected JSON, found {error}; correct it, or run labeling confusions"
            ) from error
        if not isinstance(values, dict) or values.get("format") != _FORMAT:
            raise LabelingError(f"{path}: expected a plan of format {_FORMAT}; run labeling confusions to make one")
        _check_names(str(path), values, {"format", *(field.name for field in fields(cls))})
        entries = [_read_entry(f"{path}, proposal {number}", entry) for number, entry in _numbered(path, values)]
        return cls(str(values["catalog"]), str(values["checksum"]), entries)

    def check_catalog(self, path: Path) -> None:
        """Refuse another catalog than the plan was made from.

        Raises:
            LabelingError: it is another.
        """
        if catalog_digest(path) != self.checksum:
            raise LabelingError(
                f"{path}: expected the catalog {self.catalog} as it was when the plan was made, found other content;"
                " run labeling confusions on it and decide anew"
            )


def _entry(confusions: Confusions, proposal: Proposal) -> PlanEntry:
    categories = [confusions.path(number) for number in proposal.classes]
    toward = [confusions.path(number) for number in proposal.toward]
    new_paths: list[str] = []
    if proposal.kind == "merge":
        largest = max(proposal.classes, key=lambda number: confusions.entropy.num_judged[number])
        new_paths = [confusions.path(largest)]
    elif proposal.kind == "split":
        new_paths = [f"{categories[0]} ({other.split(SEPARATOR)[-1]})" for other in toward]
    return PlanEntry(proposal.kind, categories, new_paths, toward, dict(proposal.evidence))


def _numbered(path: Path, values: Mapping[str, Any]) -> list[tuple[int, Any]]:
    if not isinstance(values["proposals"], list):
        raise LabelingError(f"{path}: expected a list of proposals, found {type(values['proposals']).__name__}")
    return list(enumerate(values["proposals"], start=1))


def _check_names(where: str, values: Any, names: set[str]) -> None:
    if not isinstance(values, dict) or values.keys() != names:
        found = ", ".join(sorted(values)) if isinstance(values, dict) else type(values).__name__
        raise LabelingError(f"{where}: expected {', '.join(sorted(names))}, found {found}; correct the file")


def _read_entry(where: str, values: Any) -> PlanEntry:
    _check_names(where, values, {field.name for field in fields(PlanEntry)})
    if values["kind"] not in _KINDS:
        raise LabelingError(f"{where}: expected the kind {', '.join(_KINDS)}, found {values['kind']!r}; correct it")
    if not isinstance(values["accepted"], bool):
        raise LabelingError(f"{where}: expected true or false for accepted, found {values['accepted']!r}; correct it")
    for name in ("categories", "new_paths", "toward"):
        paths = values[name]
        if not isinstance(paths, list) or not all(isinstance(one, str) and normalize_path(one) for one in paths):
            raise LabelingError(f"{where}: expected a list of category paths for {name}, found {paths!r}; correct it")
        values[name] = [normalize_path(one) for one in paths]
    if values["kind"] == "merge" and (len(set(values["categories"])) < 2 or len(values["new_paths"]) != 1):
        raise LabelingError(f"{where}: expected two categories or more and one new path for a merge; correct it")
    return PlanEntry(**values)
