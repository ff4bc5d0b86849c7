"""Times engines beside each other on what a server asks of them."""

import statistics
import time
from collections.abc import Callable, Mapping

from model.engines.engine import ProgramEngine

#: Products in the batch that is timed: as few as an engine process finds waiting, as many pictures as caches hold.
TIMED_ROWS = 4
_WARM_UP_RUNS = 3
_LEAST_ROUNDS = 3


def milliseconds_each(engines: Mapping[str, ProgramEngine], measure_s: float) -> dict[str, float]:
    """Median time of one small batch in each engine, milliseconds: pictures, where there are any, then the classifier.

    They take turns, so that whatever else the machine does meets all alike.

    Args:
        engines: of one bundle, by name.
        measure_s: seconds for all of them together; three rounds are made in any case.
    """
    features, images = next(iter(engines.values())).examples(TIMED_ROWS)

    def run(engine: ProgramEngine) -> None:
        if images is not None:
            engine.encode_images(images)
        engine.classify(features, all_heads=False)

    for engine in engines.values():
        for _ in range(_WARM_UP_RUNS):
            run(engine)
    taken_s: dict[str, list[float]] = {name: [] for name in engines}
    while min(map(len, taken_s.values())) < _LEAST_ROUNDS or sum(map(sum, taken_s.values())) < measure_s:
        for name, engine in engines.items():
            taken_s[name].append(_seconds(run, engine))
    return {name: statistics.median(values) * 1e3 for name, values in taken_s.items()}


def _seconds(run: Callable[[ProgramEngine], None], engine: ProgramEngine) -> float:
    began_s = time.perf_counter()
    run(engine)
    return time.perf_counter() - began_s
