import random
import socket
import threading

import pytest

from server.engine.frames import Frame, FrameReader, pack, receive

FRAMES = [
    Frame({}),
    Frame({"number": 1, "text": "노트북 \u0000 \"'"}, [b""]),
    Frame({"parts": [[0, False, {"2": "brand"}]]}, [b"\x00\xff" * 50, b"", b"{}"]),
    Frame({"number": 2}, [b"a"] * 20),
]
STREAM = b"".join(map(pack, FRAMES))


def test_any_cut_of_the_stream_gives_the_same_frames():
    for position in range(len(STREAM) + 1):
        reader = FrameReader()
        found = [*reader.feed(STREAM[:position]), *reader.feed(STREAM[position:])]
        assert found == FRAMES, position


@pytest.mark.parametrize("seed", range(20))
def test_frames_are_found_in_pieces_of_any_length(seed: int):
    chance = random.Random(seed)
    reader, found, position = FrameReader(), [], 0
    while position < len(STREAM):
        size = chance.choice((1, 2, 3, 5, 50, 500))
        found += reader.feed(STREAM[position : position + size])
        position += size
    assert found == FRAMES


def test_a_frame_is_not_given_before_its_last_byte():
    reader = FrameReader()
    content = pack(FRAMES[2])
    assert list(reader.feed(content[:-1])) == []
    assert list(reader.feed(content[-1:])) == [FRAMES[2]]


def test_large_bodies_are_joined_a_few_times_only(monkeypatch: pytest.MonkeyPatch):
    """Joining at every piece would copy 64 MB a thousand times."""
    frame = Frame({"number": 3}, [bytes(8_000_000), b"\x01" * 8_000_001])
    content, tries = pack(frame), []
    from server.engine import frames

    parse = frames._parse
    monkeypatch.setattr(frames, "_parse", lambda buffer: tries.append(len(buffer)) or parse(buffer))
    reader, found = FrameReader(), []
    for position in range(0, len(content), 65_536):
        found += reader.feed(content[position : position + 65_536])
    assert found == [frame]
    assert len(tries) <= 3


def test_frames_are_received_from_a_socket_until_it_is_closed():
    own, others = socket.socketpair()
    frames = [*FRAMES, Frame({"number": 9}, [bytes(range(256)) * 40_000])]
    with own:
        sender = threading.Thread(target=send_and_close, args=(others, b"".join(map(pack, frames))))
        sender.start()
        assert [receive(own) for _ in frames] == frames
        assert receive(own) is None
        sender.join(30)


@pytest.mark.parametrize("missing", [1, 60, 120])
def test_a_frame_that_was_cut_off_is_none(missing: int):
    own, others = socket.socketpair()
    with own:
        send_and_close(others, pack(FRAMES[2])[:-missing])
        assert receive(own) is None


def send_and_close(connection: socket.socket, content: bytes) -> None:
    with connection:
        connection.sendall(content)
