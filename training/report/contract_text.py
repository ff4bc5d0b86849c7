"""The precision contract in words: kept or not kept, with the interval, by depth and by set of given fields."""

from collections.abc import Mapping, Sequence
from typing import Any

MAX_DIGITS = 2
#: The one definition, for the model card.
DEFINITION = (
    "Of the answers handed out as accepted, at whatever depth, at least {target} are right, with {confidence}\n"
    "confidence, on products like those that calibrated it; and so are those that stop at each depth. Where the rows of"
    " a\ndepth, or of a set of given fields, are too few to show it, nothing is accepted there."
)


def percent(share: float | None, digits: int = 1) -> str:
    """Format a share: '98.4 %', or a dash for None; with a digit more where 99.97 would round to 100.

    What would round to 0 or 100 with that, too, and is neither, reads '< 0.01 %' or '> 99.99 %'.
    """
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{100 * share:.0f}\u00a0%"
    while round(100 * share, digits) in (0, 100) and digits < MAX_DIGITS:
        digits += 1
    if round(100 * share, digits) in (0, 100):
        least = 10**-digits
        return f"< {least:g}\u00a0%" if share < 0.5 else f"> {100 - least:g}\u00a0%"
    return f"{100 * share:.{digits}f}\u00a0%"


def target_text(precision_target: float) -> str:
    """Format the contract's precision: '98 %', '99.5 %'."""
    return f"{100 * precision_target:g}\u00a0%"


def interval_text(interval: Sequence[float] | None) -> str:
    """Format an interval: '97.6 to 98.9 %'."""
    if interval is None:
        return "–"
    low, high = (percent(end) for end in interval)
    return low.removesuffix("\u00a0%") + f" to {high}"


def kept_text(acceptance: Mapping[str, Any], precision_target: float) -> str:
    """Say whether one set of accepted answers keeps the promise.

    Args:
        acceptance: `training.metrics.contract.acceptance_metrics`.
    Returns:
        'kept', 'not kept', 'not kept, by no more than chance makes of it' where the interval holds the promise, or
        'nothing accepted'.
    """
    if acceptance["is_kept"] is None:
        return "nothing accepted"
    if acceptance["is_kept"]:
        return "kept"
    by_chance = acceptance["precision_interval"][1] >= precision_target
    return "not kept, by no more than chance makes of it" if by_chance else "not kept"


def contract_lines(contract: Mapping[str, Any]) -> list[str]:
    """Lines for the terminal, of all accepted answers and of those at each depth.

    Args:
        contract: `training.metrics.contract.contract_metrics`.
    """
    target = contract["precision_target"]
    lines = [
        f"accepted {percent(contract['accepted_share'])}, at a leaf {percent(contract['leaf_accepted_share'])};"
        f" promised {target_text(target)}: {_evidence(contract, target)}"
    ]
    lines += [
        f"  stopped at depth {entry['depth']}: {percent(entry['accepted_share'])}, {_evidence(entry, target)}"
        for entry in contract["depths"]
        if entry["num_accepted"]
    ]
    return [line.replace("\u00a0", " ") for line in lines]


def lower_promises_line(promises: Sequence[Mapping[str, Any]]) -> str:
    """Line for the terminal: what lower promises would accept; '' without any that accepts something.

    Args:
        promises: `lower_promises`, see `training.ensemble.assembly.AssembledModel`.
    """
    parts = [
        f"{entry['precision_target']:g}: {percent(entry['accepted_share'])}, at a leaf"
        f" {percent(entry['leaf_accepted_share'])}"
        for entry in promises
        if entry["accepted_share"]
    ]
    if not parts:
        return ""
    return f"lower promises would accept (--resume --precision): {'; '.join(parts)}".replace("\u00a0", " ")


def contract_table(contract: Mapping[str, Any]) -> str:
    """Markdown table, a row for all accepted answers and one for each depth."""
    target = contract["precision_target"]
    rows = [("all", contract), *((f"depth {entry['depth']}", entry) for entry in contract["depths"])]
    return _table("stopped at", rows, target)


def field_table(combinations: Sequence[Mapping[str, Any]], precision_target: float) -> str:
    """Markdown table, a row for each set of given fields that occurs."""
    rows = [(", ".join(entry["fields"]) or "none", entry) for entry in combinations]
    return _table("given fields", rows, precision_target)


def _table(heading: str, rows: Sequence[tuple[str, Mapping[str, Any]]], target: float) -> str:
    lines = [f"| {heading} | accepted | right | 95 % interval | promise |", "|---|---|---|---|---|"]
    for name, entry in rows:
        cells = percent(entry["accepted_share"]), percent(entry["accepted_precision"])
        interval = interval_text(entry["precision_interval"])
        lines.append(f"| {name} | {' | '.join(cells)} | {interval} | {kept_text(entry, target)} |")
    return "\n".join(lines).replace("\u00a0", " ")


def _evidence(acceptance: Mapping[str, Any], target: float) -> str:
    if acceptance["is_kept"] is None:
        return "nothing accepted"
    interval = interval_text(acceptance["precision_interval"])
    return f"right {percent(acceptance['accepted_precision'])} ({interval}), {kept_text(acceptance, target)}"
