"""The progress bar of a load test."""

import asyncio
from types import TracebackType

from tqdm import tqdm

from client.load.outcomes import Outcomes

_TICK_S = 0.5
_FORMAT = "{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}"


class Progress:
    """Shows the progress of all runs together, on a terminal only.

    Args:
        total_s: duration of all runs, seconds.
    """

    def __init__(self, total_s: float):
        self._left_s = total_s
        self._bar = tqdm(total=total_s, bar_format=_FORMAT, disable=None)

    def begin(self, description: str) -> None:
        """Show the name of the run that begins."""
        self._bar.set_description_str(description)

    async def follow(self, outcomes: Outcomes) -> None:
        """Update the bar by the clock until cancelled."""
        clock = asyncio.get_running_loop().time
        last_s = clock()
        while True:
            await asyncio.sleep(_TICK_S)
            now_s = clock()
            self._bar.set_postfix_str(f"{len(outcomes)} requests, {outcomes.num_failed} failed", refresh=False)
            step_s = min(now_s - last_s, self._left_s)
            self._bar.update(step_s)
            self._left_s -= step_s
            last_s = now_s

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()
