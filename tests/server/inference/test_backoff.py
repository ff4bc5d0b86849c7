from server.inference.backoff import Backoff


def test_delays_between_attempts_grow_until_one_succeeds():
    backoff = Backoff()
    delays_s = [backoff.next_delay_s() for _ in range(9)]
    assert delays_s == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    backoff.reset()
    assert [backoff.next_delay_s() for _ in range(3)] == [0.0, 0.5, 1.0]
