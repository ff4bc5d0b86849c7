"""The sentences that say how much of the past to learn from."""

from labeling.months.months import Months
from labeling.months.next_month import NextMonth, WindowScore
from labeling.months.window import ALL_MONTHS


def verdict(months: Months) -> str:
    """Say which window answers the next month best, how sure that is, and how to train with it."""
    found = months.next_month
    best, whole = found.best, found.all_months
    measured = f"of {found.products:,} products listed in the month after {_origins(found)}"
    if best.window == ALL_MONTHS:
        second = max((score for score in found.scores if score is not best), key=_accuracy, default=None)
        beside = "" if second is None else f", {second.accuracy:.1%} with {second.window.name}"
        return (
            f"all months are best: {whole.accuracy:.1%} {measured} are right{beside}; train without --window-months"
            f" and --half-life-months"
        )
    low, high = found.interval
    gain = (
        f"{best.accuracy:.1%} {measured} are right with {best.window.name}, {whole.accuracy:.1%} with all months"
        f" ({_points(best.gain)} points, 95 % interval {_points(low)} to {_points(high)}, p = {found.p_value:.2g} as"
        f" the best of {len(found.scores) - 1})"
    )
    if found.is_sure:
        return f"{best.window.name} is best: {gain}; train with python -m training train {best.window.flags}"
    return f"no window is surely better than all months: {gain}; train without --window-months and --half-life-months"


def new_products_said(months: Months) -> str:
    """Say how many of the next month's products are listed again, and how right the others are."""
    found = months.next_month
    share = 1 - found.new_products / found.products
    if not found.new_products:
        return "all of these are near-duplicates of products listed before: the catalog says nothing of new ones"
    best = max(found.scores, key=lambda score: (score.accuracy_new, score.window == ALL_MONTHS))
    beside = "" if best.window == ALL_MONTHS else f", {best.accuracy_new:.1%} with {best.window.name}"
    return (
        f"{share:.1%} of these are near-duplicates of products listed before; of the others"
        f" {found.all_months.accuracy_new:.1%} are right with all months{beside}"
    )


def _accuracy(score: WindowScore) -> float:
    return score.accuracy


def _origins(found: NextMonth) -> str:
    return "one month" if found.num_origins == 1 else f"each of {found.num_origins} months"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
