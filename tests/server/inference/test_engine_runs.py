from server.inference.engine_runs import EngineRuns


def test_a_run_hangs_when_it_is_seen_for_longer_than_the_timeout():
    runs = EngineRuns()
    with runs.run("text"):
        assert [runs.hanging(1.0, 0.6) for _ in range(3)] == [None, None, "text"]  # seen for 0, 0.6 and 1.2 s
    assert runs.hanging(1.0, 0.6) is None


def test_each_run_is_timed_separately():
    runs = EngineRuns()
    with runs.run("picture"):
        assert runs.hanging(1.0, 0.8) is None
        for _ in range(3):
            with runs.run("text"):
                assert runs.hanging(1.0, 0.3) is None
        assert runs.hanging(1.0, 0.3) == "picture"


def test_a_run_that_fails_is_over():
    runs = EngineRuns()
    try:
        with runs.run("text"):
            raise ValueError
    except ValueError:
        assert [runs.hanging(1.0, 10.0) for _ in range(2)] == [None, None]
