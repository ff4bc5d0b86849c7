"""A queue that gives each caller, and each call of a caller, an equal share of the engine's time."""

import heapq
import itertools
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(order=True)
class _Flow(Generic[Item]):
    """What waits under one key; `start_s` is the virtual time from which its next item is due."""

    start_s: float
    sequence: int
    key: Hashable = field(compare=False)
    items: deque[tuple[Item, float]] = field(default_factory=deque, compare=False)


class _FairFlows(Generic[Item]):
    """Start-time fair queueing (Goyal, Vin and Cheng 1996): the flow that has had the least time comes next."""

    def __init__(self) -> None:
        self._now_s = self._end_s = 0.0
        self._sequence = itertools.count()
        self._waiting: list[_Flow[Item]] = []
        self.cost_s = 0.0
        self._flows: dict[Hashable, _Flow[Item]] = {}

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def push(self, key: Hashable, item: Item, cost_s: float) -> None:
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = _Flow(self._now_s, next(self._sequence), key)
        flow.items.append((item, cost_s))
        self.cost_s += cost_s
        if len(flow.items) == 1:
            flow.start_s = max(flow.start_s, self._now_s)
            heapq.heappush(self._waiting, flow)

    def first(self) -> Item:
        return self._waiting[0].items[0][0]

    def pop(self) -> Item:
        flow = self._waiting[0]
        item, cost_s = flow.items.popleft()
        self.cost_s -= cost_s
        self._now_s = flow.start_s
        flow.start_s += cost_s
        self._end_s = max(self._end_s, flow.start_s)
        flow.sequence = next(self._sequence)
        if flow.items:
            heapq.heapreplace(self._waiting, flow)
        else:
            heapq.heappop(self._waiting)
            self._forget()
        return item

    def _forget(self) -> None:
        """Drop idle flows that have no more time behind them than a new one: all, or some once there are many."""
        if not self._waiting:
            self._now_s = self._end_s
            self._flows.clear()
        elif len(self._flows) > 2 * len(self._waiting) + 64:
            self._flows = {key: flow for key, flow in self._flows.items() if flow.items or flow.start_s > self._now_s}


class FairQueue(Generic[Item]):
    """Items by caller and call: first each caller has its turn, then each call of that caller.

    So neither a caller with many calls nor a call with many items delays others by more than their number. Not
    thread-safe.
    """

    def __init__(self) -> None:
        self._callers: _FairFlows[Hashable] = _FairFlows()
        self._calls: dict[Hashable, _FairFlows[Item]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def num_callers(self) -> int:
        """Callers that something waits for."""
        return len(self._calls)

    def wait_s(self, caller: Hashable, cost_s: float) -> float:
        """The expected time before a new call of a caller is through, without its own, if one engine takes all.

        Args:
            cost_s: expected time of the call itself, seconds.
        """
        own = self._calls.get(caller)
        own_s = min(own.cost_s, own.num_waiting * cost_s) if own else 0.0
        others_s = self._callers.cost_s - (own.cost_s if own else 0.0)
        num_others = self.num_callers - (own is not None)
        return own_s + min(others_s, num_others * (own_s + cost_s))

    def push(self, caller: Hashable, call: Hashable, item: Item, cost_s: float) -> None:
        """Add an item.

        Args:
            cost_s: the engine's time that it is expected to take, seconds.
        """
        self._callers.push(caller, caller, cost_s)
        self._calls.setdefault(caller, _FairFlows()).push(call, item, cost_s)
        self._length += 1

    def first(self) -> Item:
        """The item that `pop` takes next; the queue must not be empty."""
        return self._calls[self._callers.first()].first()

    def pop(self) -> Item:
        """Take the item whose caller and call have had the least time."""
        caller = self._callers.pop()
        calls = self._calls[caller]
        item = calls.pop()
        if not calls.num_waiting:
            del self._calls[caller]
        self._length -= 1
        return item
