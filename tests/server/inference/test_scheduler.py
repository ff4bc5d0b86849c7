import dataclasses
import random
import time
from pathlib import Path

import pytest

from aisle_client.v1 import classifier_pb2 as pb
from server.errors import DeadlineExceededError, QueueFullError
from server.inference.memory_budget import MemoryBudget, MemoryUse
from server.inference.part import Part
from server.inference.scheduler import FrameLimits, Scheduler
from server.settings import ServerSettings
from tests.server.support import RecordingOwner, part_of

SETTINGS = ServerSettings(
    bundle=Path("bundle"), max_products_per_request=8, max_queue_items=100, max_queue_images=10, max_queue_bytes=1000
)
LIMITS = FrameLimits(max_items=16, max_images=4, num_processes=1, may_be_large=True, may_be_suspect=True)
#: Seconds of a frame; see `server.inference.scheduler`.
MAX_FRAME_S, MIN_FRAME_S = 0.048, 0.016


@pytest.fixture
def memory() -> MemoryBudget:
    return MemoryBudget(100)


@pytest.fixture
def scheduler(memory: MemoryBudget) -> Scheduler:
    return Scheduler(SETTINGS, memory)


def text(num_products: int = 1, caller: str = "caller", **values) -> Part:
    return part_of(num_products=num_products, caller=caller, **values)


def picture(num_products: int = 1, **values) -> Part:
    return part_of(num_products=num_products, num_pictures=num_products, **values)


def large(decode_bytes: int = 60, num_pixels: int = 5_000_000, **values) -> Part:
    return picture(decode_bytes=decode_bytes, num_pixels=num_pixels, **values)


def submit(scheduler: Scheduler, *parts: Part) -> list[Part]:
    scheduler.submit(parts, wait_s=2.5)
    return list(parts)


def is_empty(scheduler: Scheduler) -> bool:
    queues = (scheduler.texts, scheduler.pictures)
    return not any((queue.items, queue.num_bytes) != (0, 0) for queue in queues) and abs(scheduler.queued_s) < 1e-9


def test_what_waits_goes_together_up_to_the_most_products(scheduler: Scheduler):
    parts = submit(scheduler, *(text(5) for _ in range(4)))
    assert scheduler.texts.items == 20
    assert scheduler.take(LIMITS) == parts[:3]
    assert scheduler.texts.items == 5
    assert scheduler.take(LIMITS) == parts[3:]
    assert scheduler.take(LIMITS) == []
    assert is_empty(scheduler)


def test_what_waits_goes_together_up_to_the_most_pictures(scheduler: Scheduler):
    scheduler.costs.add([picture(10)], 0.0, 0.01)  # so quick that a frame's time is no limit
    parts = submit(scheduler, picture(2), text(3), picture(2), picture(1))
    assert scheduler.take(LIMITS) == parts[:3]
    assert scheduler.take(LIMITS) == parts[3:]


def test_a_part_above_the_limits_goes_alone(scheduler: Scheduler):
    parts = submit(scheduler, text(1), text(50), text(1))
    assert [scheduler.take(LIMITS) for _ in range(3)] == [[part] for part in parts]


def test_a_frame_is_as_long_as_others_may_wait(scheduler: Scheduler):
    scheduler.costs.add([text(1)], 0.0, MAX_FRAME_S / 4)
    parts = submit(scheduler, *(text(1) for _ in range(6)))
    assert scheduler.take(LIMITS) == parts[:4]


@pytest.mark.parametrize(
    ("cost_s", "count"), [(MAX_FRAME_S / 4, 4), (MAX_FRAME_S / 6, 2), (MIN_FRAME_S / 3.5, 3), (MIN_FRAME_S / 8, 5)]
)
def test_processes_share_what_waits_unless_it_is_little_or_a_whole_frame(
    scheduler: Scheduler, cost_s: float, count: int
):
    scheduler.costs.add([text(1)], 0.0, cost_s)
    parts = submit(scheduler, *(text(1) for _ in range(5)))
    assert scheduler.take(dataclasses.replace(LIMITS, num_processes=2)) == parts[:count]


def test_a_full_queue_takes_none_of_a_request(scheduler: Scheduler):
    submit(scheduler, *(text(8) for _ in range(12)))
    with pytest.raises(
        QueueFullError, match="the text queue is full: it holds 96 of 100 items, 5 more do not fit"
    ) as caught:
        submit(scheduler, text(3), text(2))
    assert caught.value.retry_after_s == 2.5
    assert scheduler.texts.items == 96
    submit(scheduler, text(4))


def test_pictures_have_a_queue_of_their_own(scheduler: Scheduler):
    submit(scheduler, picture(8))
    with pytest.raises(QueueFullError, match="the picture queue is full: it holds 8 of 10 items, 3 more do not fit"):
        submit(scheduler, picture(3))
    submit(scheduler, text(8))
    assert (scheduler.texts.items, scheduler.pictures.items) == (8, 8)


def test_a_queue_is_full_by_its_bytes_too(scheduler: Scheduler):
    submit(scheduler, text(content=bytes(600)), picture(content=bytes(900)))
    with pytest.raises(QueueFullError, match="the text queue is full: it holds 600 of 1000 bytes, 401 more do not fit"):
        submit(scheduler, text(content=bytes(401)))
    scheduler.take(LIMITS)
    submit(scheduler, text(content=bytes(401)))


def test_a_part_whose_deadline_has_passed_is_never_taken(scheduler: Scheduler):
    owner = RecordingOwner()
    now_s = time.perf_counter()
    late, in_time = submit(scheduler, text(owner=owner, deadline_s=now_s), text(deadline_s=now_s + 60))
    assert scheduler.take(LIMITS) == [in_time]
    [(part, error)] = owner.errors
    assert part is late
    assert isinstance(error, DeadlineExceededError)
    assert str(error) == "the deadline passed in the queue; allow more time"
    assert is_empty(scheduler)


def test_a_withdrawn_part_is_never_taken_and_leaves_its_room_at_once(scheduler: Scheduler):
    left, stayed = submit(scheduler, text(5), text(2))
    scheduler.withdraw(left)
    assert scheduler.texts.items == 2
    assert scheduler.take(LIMITS) == [stayed]
    scheduler.withdraw(stayed)  # it is being answered
    assert is_empty(scheduler)


def test_a_part_that_comes_back_is_taken_first_however_full_the_queue_is(scheduler: Scheduler):
    waiting = submit(scheduler, *(text(8) for _ in range(12)))
    back, given_up = text(8), text(8)
    scheduler.requeue(given_up)
    scheduler.requeue(back)
    scheduler.withdraw(given_up)
    assert scheduler.take(LIMITS)[:2] == [back, waiting[0]]


def test_a_suspect_is_given_alone_to_whom_may_have_it(scheduler: Scheduler):
    [usual] = submit(scheduler, text())
    suspects = [text(), text()]
    for suspect in suspects:
        scheduler.suspect(suspect)
    assert scheduler.has_suspects
    assert scheduler.take(dataclasses.replace(LIMITS, may_be_suspect=False)) == [usual]
    assert scheduler.take(dataclasses.replace(LIMITS, may_be_suspect=False)) == []
    assert [scheduler.take(LIMITS) for _ in suspects] == [[suspect] for suspect in suspects]
    assert not scheduler.has_suspects
    assert is_empty(scheduler)


def test_a_suspect_that_nobody_waits_for_is_dropped(scheduler: Scheduler):
    suspect = text()
    scheduler.suspect(suspect)
    scheduler.withdraw(suspect)
    assert scheduler.take(LIMITS) == []
    assert not scheduler.has_suspects


def test_a_large_picture_goes_alone_and_waits_for_memory(scheduler: Scheduler, memory: MemoryBudget):
    first, second, small = submit(scheduler, large(60), large(50), large(40))
    [usual] = submit(scheduler, text())
    assert scheduler.take(LIMITS) == [first]
    assert memory.reserved_bytes[MemoryUse.PICTURES] == 60
    assert scheduler.take(LIMITS) == [usual]
    assert scheduler.take(LIMITS) == []  # the second one keeps its place before the small one
    scheduler.release_memory(first)
    assert scheduler.take(LIMITS) == [second]
    assert scheduler.take(LIMITS) == [small]
    for part in (second, small, usual):
        scheduler.release_memory(part)
    assert memory.reserved_bytes[MemoryUse.PICTURES] == 0
    assert is_empty(scheduler)


def test_a_large_picture_is_not_given_to_whom_may_not_have_it(scheduler: Scheduler, memory: MemoryBudget):
    [one] = submit(scheduler, large())
    assert scheduler.take(dataclasses.replace(LIMITS, may_be_large=False)) == []
    assert memory.reserved_bytes[MemoryUse.PICTURES] == 0
    assert scheduler.take(LIMITS) == [one]


def test_a_withdrawn_large_picture_takes_no_memory(scheduler: Scheduler, memory: MemoryBudget):
    left, stayed = submit(scheduler, large(), large())
    scheduler.withdraw(left)
    assert scheduler.take(LIMITS) == [stayed]
    assert memory.reserved_bytes[MemoryUse.PICTURES] == 60


@pytest.mark.parametrize("seed", range(5))
def test_large_pictures_and_the_rest_have_the_same_time(scheduler: Scheduler, seed: int):
    chance = random.Random(seed)
    for _ in range(20):
        scheduler.enqueue(large(num_pixels=chance.randrange(5_000_000, 50_000_000), caller="pictures"))
    for _ in range(4000):
        scheduler.enqueue(text(chance.randrange(1, 16), caller="texts"))
    used_s = {"pictures": 0.0, "texts": 0.0}
    while scheduler.texts.items and scheduler.pictures.items:
        for part in scheduler.take(LIMITS):
            used_s[part.caller] += part.cost_s
            scheduler.release_memory(part)
        assert abs(used_s["pictures"] - used_s["texts"]) < 1.0  # the longest picture is 0.75 s


def test_texts_of_many_callers_have_a_share_each(scheduler: Scheduler):
    """One caller's large pictures have no half of the time, only that of one caller among five."""
    for _ in range(50):
        scheduler.enqueue(large(num_pixels=10_000_000, caller="pictures"))
    for number in range(5000):
        scheduler.enqueue(text(8, caller=f"texts {number % 4}"))
    used_s = {"pictures": 0.0, "texts": 0.0}
    while scheduler.texts.items and scheduler.pictures.items:
        for part in scheduler.take(LIMITS):
            used_s[part.caller.split()[0]] += part.cost_s
            scheduler.release_memory(part)
    assert used_s["texts"] / used_s["pictures"] == pytest.approx(4, rel=0.1)


def test_a_kind_that_was_away_has_no_time_saved_up(scheduler: Scheduler):
    for _ in range(200):
        submit(scheduler, text(8))
        scheduler.take(LIMITS)  # 0.8 s in all
    for _ in range(20):
        scheduler.enqueue(large(num_pixels=10_000_000))
        scheduler.enqueue(text(8))
    kinds = []
    for _ in range(4):
        [part, *_] = scheduler.take(LIMITS)
        scheduler.release_memory(part)
        kinds.append(part.is_large)
    assert kinds == [True, False, False, False]


def test_a_batch_is_given_time_to_fill_where_the_settings_say_so(memory: MemoryBudget):
    scheduler = Scheduler(dataclasses.replace(SETTINGS, max_queue_delay_ms=30_000), memory)
    assert scheduler.due_in_s(max_items=4, max_images=2) == 0.0  # nothing waits
    submit(scheduler, text(3))
    assert 0 < scheduler.due_in_s(max_items=4, max_images=2) <= 30
    submit(scheduler, text(1))
    assert scheduler.due_in_s(max_items=4, max_images=2) == 0.0  # it is full
    scheduler.take(LIMITS)
    submit(scheduler, text(1, submitted_s=time.perf_counter() - 31))
    assert scheduler.due_in_s(max_items=4, max_images=2) == 0.0  # it has waited


def test_no_time_to_fill_is_given_where_it_is_turned_off_nor_to_what_came_back(memory: MemoryBudget):
    impatient = Scheduler(dataclasses.replace(SETTINGS, max_queue_delay_ms=0), memory)
    submit(impatient, text())
    assert impatient.due_in_s(max_items=4, max_images=2) == 0.0
    patient = Scheduler(dataclasses.replace(SETTINGS, max_queue_delay_ms=30_000), memory)
    patient.requeue(text())
    submit(patient, text())
    assert patient.due_in_s(max_items=4, max_images=2) == 0.0


@pytest.mark.parametrize(("parts", "is_full"), [([text(3)], False), ([text(4)], True), ([picture(2)], True)])
def test_a_frame_is_full_with_the_most_of_a_kind(scheduler: Scheduler, parts: list[Part], is_full: bool):
    scheduler.costs.add([picture(1)], 0.0, 0.0001)
    submit(scheduler, *parts)
    assert scheduler.has_full_frame(max_items=4, max_images=2) is is_full


def test_a_frame_is_full_when_it_takes_its_time(scheduler: Scheduler):
    scheduler.costs.add([text(1)], 0.0, MAX_FRAME_S)
    submit(scheduler, text(1))
    assert scheduler.has_full_frame(max_items=4, max_images=2)


def test_the_expected_time_is_that_of_what_waits(scheduler: Scheduler):
    parts = submit(scheduler, text(3), picture(2), large())
    assert scheduler.queued_s == pytest.approx(sum(scheduler.costs.seconds(part) for part in parts))
    scheduler.costs.add([text(1)], 0.0, 100.0)  # changes no part's cost that waits
    for _ in range(3):
        scheduler.take(LIMITS)
    assert is_empty(scheduler)


def test_everything_that_somebody_waits_for_is_withdrawn_at_the_end(scheduler: Scheduler):
    parts = submit(scheduler, text(), picture(), large())
    suspect, back, left = text(), text(), text()
    scheduler.suspect(suspect)
    scheduler.requeue(back)
    submit(scheduler, left)
    scheduler.withdraw(left)
    assert {id(part) for part in scheduler.withdraw_all()} == {id(part) for part in [*parts, suspect, back]}
    assert is_empty(scheduler)
    assert scheduler.take(LIMITS) == []


def test_the_answer_to_one_product_is_not_held_by_a_long_request(scheduler: Scheduler):
    submit(scheduler, *(text(8, caller="long", content=pb.ClassifyRequest().SerializeToString()) for _ in range(12)))
    scheduler.take(LIMITS)
    [short] = submit(scheduler, text(1, caller="short"))
    assert short in scheduler.take(LIMITS)


@pytest.mark.parametrize("queue", ["suspect", "requeue"])
def test_a_large_picture_of_a_process_that_ended_waits_for_memory_again(
    queue: str, scheduler: Scheduler, memory: MemoryBudget
):
    first, second = large(), large()
    for part in (first, second):
        getattr(scheduler, queue)(part)
    assert scheduler.take(LIMITS) == [first]
    assert memory.reserved_bytes[MemoryUse.PICTURES] == 60
    assert scheduler.take(LIMITS) == []
    scheduler.release_memory(first)
    assert scheduler.take(LIMITS) == [second]
    scheduler.release_memory(second)
    assert memory.reserved_bytes[MemoryUse.PICTURES] == 0
    assert is_empty(scheduler)
