from server.inference.backoff import Backoff


def test_delays_between_attempts_grow_and_reset_after_a_time_without_failures():
    now_s = 0.0
    backoff = Backoff(lambda: now_s)
    delays_s = [backoff.next_delay_s() for _ in range(9)]
    assert delays_s == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    now_s = 89.0
    assert backoff.next_delay_s() == 30.0
    now_s = 89.0 + 30.0 + 60.0
    assert backoff.next_delay_s() == 0.0
