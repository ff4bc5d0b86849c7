import os
import random
from concurrent.futures import ThreadPoolExecutor

from model.machine.memory import memory_limit_bytes, resident_bytes
from server.inference.memory_budget import MemoryBudget, MemoryUse, free_memory_bytes

MESSAGES, PICTURES = MemoryUse.MESSAGES, MemoryUse.PICTURES


def reserved(memory: MemoryBudget) -> int:
    return sum(memory.reserved_bytes.values())


def test_what_does_not_fit_is_not_reserved():
    memory = MemoryBudget(100)
    assert memory.reserve(MESSAGES, 60)
    assert not memory.reserve(MESSAGES, 41)
    assert reserved(memory) == 60
    assert memory.reserve(PICTURES, 30)
    assert not memory.reserve(PICTURES, 11)
    assert memory.reserve(PICTURES, 10)
    assert memory.reserved_bytes == {MESSAGES: 60, PICTURES: 40}
    memory.release(MESSAGES, 60)
    assert memory.reserve(MESSAGES, 60)
    assert reserved(memory) == 100


def test_one_reservation_of_each_use_is_granted_whatever_its_size():
    """It would be refused for ever otherwise: a large picture waits while its own message is reserved."""
    memory = MemoryBudget(100)
    assert memory.reserve(PICTURES, 1000)
    memory.release(PICTURES, 1000)
    assert memory.reserve(MESSAGES, 1000)
    assert not memory.reserve(MESSAGES, 1)
    memory.release(MESSAGES, 1000)
    assert memory.reserve(MESSAGES, 1)


def test_threads_never_have_more_than_the_budget():
    memory = MemoryBudget(1000)

    def borrow(seed: int) -> int:
        chance, most = random.Random(seed), 0
        for _ in range(2000):
            num_bytes = chance.randrange(400)
            if memory.reserve(MESSAGES, num_bytes):
                most = max(most, reserved(memory))
                memory.release(MESSAGES, num_bytes)
        return most

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(borrow, range(8))) <= 1000
    assert reserved(memory) == 0


def test_the_default_is_a_share_of_what_the_loaded_models_leave():
    limit, own = memory_limit_bytes(), resident_bytes()
    assert free_memory_bytes([os.getpid()]) < limit - own
    assert free_memory_bytes([]) > free_memory_bytes([os.getpid()])
    assert free_memory_bytes([os.getpid()] * (2 + limit // own)) == 64 * 1024 * 1024  # however little there is
