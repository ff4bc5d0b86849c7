import random
from collections import Counter, defaultdict

import pytest

from server.inference.fair_queue import FairQueue

SEEDS = range(10)


def serve(queue: FairQueue[tuple[str, float]], num_items: int) -> list[tuple[str, float]]:
    """Take items, each of which `first` has announced."""
    taken = []
    for _ in range(num_items):
        announced = queue.first()
        taken.append(queue.pop())
        assert taken[-1] is announced
    return taken


def filled(costs: dict[str, list[float]]) -> FairQueue[tuple[str, float]]:
    """A queue with one call for each caller."""
    queue: FairQueue[tuple[str, float]] = FairQueue()
    for caller, of_caller in costs.items():
        for cost_s in of_caller:
            queue.push(caller, "call", (caller, cost_s), cost_s)
    return queue


@pytest.mark.parametrize("seed", SEEDS)
def test_callers_that_wait_have_the_same_time_but_for_an_item(seed: int):
    """Whatever the sizes of their items; the bound of Goyal, Vin and Cheng."""
    chance = random.Random(seed)
    sizes = {"small": 0.001, "medium": 0.01, "large": 0.3}
    costs = {caller: [chance.uniform(0.1, 1) * size for _ in range(3000)] for caller, size in sizes.items()}
    queue = filled(costs)
    served: Counter[str] = Counter()
    left = {caller: len(of_caller) for caller, of_caller in costs.items()}
    while all(left.values()):
        [(caller, cost_s)] = serve(queue, 1)
        served[caller] += cost_s
        left[caller] -= 1
        assert max(served[c] for c in sizes) - min(served[c] for c in sizes) <= 2 * max(sizes.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_item_comes_once_and_those_of_a_call_in_order(seed: int):
    chance = random.Random(seed)
    queue: FairQueue[tuple[int, int, int]] = FairQueue()
    pushed: Counter[tuple[int, int]] = Counter()
    taken: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for _ in range(2000):
        if chance.random() < 0.6 or not len(queue):
            caller, call = chance.randrange(5), chance.randrange(3)
            queue.push(caller, call, (caller, call, pushed[caller, call]), chance.random())
            pushed[caller, call] += 1
        else:
            caller, call, number = queue.pop()
            taken[caller, call].append(number)
    assert len(queue) == sum(pushed.values()) - sum(map(len, taken.values()))
    while len(queue):
        caller, call, number = queue.pop()
        taken[caller, call].append(number)
    assert taken == {key: list(range(count)) for key, count in pushed.items()}
    assert queue.num_callers == 0


def test_many_calls_of_a_caller_have_one_share_together():
    queue: FairQueue[str] = FairQueue()
    for call in range(100):
        queue.push("greedy", call, "greedy", 1.0)
    for _ in range(10):
        queue.push("modest", "call", "modest", 1.0)
    assert Counter(queue.pop() for _ in range(20)) == {"greedy": 10, "modest": 10}


def test_calls_of_one_caller_take_turns():
    """A short call is not behind a long one of the same connection."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.push("caller", "long", "long", 1.0)
    queue.push("caller", "short", "short", 1.0)
    assert "short" in [queue.pop() for _ in range(2)]


@pytest.mark.parametrize("cost_s", [0.1, 1.0, 10.0])
def test_a_late_caller_is_served_after_the_item_of_one_other_at_most(cost_s: float):
    queue = filled({"early": [1.0] * 100})
    serve(queue, 50)
    queue.push("late", "call", ("late", cost_s), cost_s)
    assert "late" in [caller for caller, _ in serve(queue, 2)]


def test_a_late_caller_does_not_catch_up_on_the_time_before():
    queue = filled({"early": [1.0] * 100})
    serve(queue, 50)
    for _ in range(40):
        queue.push("late", "call", ("late", 1.0), 1.0)
    counts = Counter(caller for caller, _ in serve(queue, 20))
    assert abs(counts["early"] - counts["late"]) <= 1


def test_idle_time_is_not_saved_up():
    queue = filled({"idle": [1.0], "busy": [1.0] * 100})
    serve(queue, 60)
    for _ in range(40):
        queue.push("idle", "call", ("idle", 1.0), 1.0)
    counts = Counter(caller for caller, _ in serve(queue, 20))
    assert abs(counts["idle"] - counts["busy"]) <= 1


def test_a_caller_that_took_much_and_comes_back_at_once_waits_for_the_others():
    """Sending a request only when the one before was answered is no way around the shares."""
    queue = filled({"others": [0.1] * 200, "heavy": [5.0]})
    while ("heavy", 5.0) not in serve(queue, 1):
        pass
    queue.push("heavy", "next", ("heavy", 5.0), 5.0)
    before = [caller for caller, _ in serve(queue, 40)]
    assert before == ["others"] * 40


def test_callers_of_the_past_take_no_memory():
    queue: FairQueue[int] = FairQueue()
    for caller in range(10_000):
        queue.push(caller, "call", caller, 1.0)
        queue.pop()
    assert len(queue._callers._flows) < 200
    assert queue._calls == {}
