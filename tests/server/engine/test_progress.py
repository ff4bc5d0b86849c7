import os

from server.engine.progress import Progress


def test_one_side_sees_the_steps_of_the_other():
    server = Progress.create()
    engine = Progress(os.dup(server.file_number))
    assert server.read() == (0, 0)
    engine.begin_frame(7)
    assert server.read() == (1, 7)
    engine.step()
    engine.step()
    assert server.read() == (3, 7)
    engine.begin_frame(8)
    assert server.read() == (4, 8)
    engine.close()
    assert server.read() == (4, 8)
    server.close()


def test_processes_do_not_share_the_memory_of_another():
    first, second = Progress.create(), Progress.create()
    first.begin_frame(1)
    assert second.read() == (0, 0)
    first.close()
    second.close()
