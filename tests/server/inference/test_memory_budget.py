import random
from concurrent.futures import ThreadPoolExecutor

from server.inference.memory_budget import MemoryBudget


def test_what_does_not_fit_is_not_reserved():
    memory = MemoryBudget(100)
    assert memory.reserve(60)
    assert not memory.reserve(41)
    assert memory.reserved_bytes == 60
    assert memory.reserve(40)
    memory.release(60)
    assert memory.reserve(60)
    assert memory.reserved_bytes == 100


def test_an_empty_budget_grants_one_reservation_of_any_size():
    """It would be refused for ever otherwise."""
    memory = MemoryBudget(100)
    assert memory.reserve(1000)
    assert not memory.reserve(1)
    memory.release(1000)
    assert memory.reserve(1)


def test_threads_never_have_more_than_the_budget():
    memory = MemoryBudget(1000)

    def borrow(seed: int) -> int:
        chance, most = random.Random(seed), 0
        for _ in range(2000):
            num_bytes = chance.randrange(400)
            if memory.reserve(num_bytes):
                most = max(most, memory.reserved_bytes)
                memory.release(num_bytes)
        return most

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(borrow, range(8))) <= 1000
    assert memory.reserved_bytes == 0
