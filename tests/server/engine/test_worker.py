import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from retrieval.embedding.description import embedding_checksum
from server.engine import worker as engine_worker
from server.engine.config import EngineConfig
from server.engine.frames import Frame, pack, receive
from server.engine.progress import Progress
from server.engine.worker import Worker
from tests.server.support import named, png


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    own, others = socket.socketpair()
    with own, others:
        yield own, others


def config_of(bundle: Path, is_beside_calls: bool = False, with_vectors: bool = False) -> EngineConfig:
    return EngineConfig(
        bundle=str(bundle),
        engine="openvino",
        engine_reason="asked for",
        precision="float32",
        threads=1,
        map_weights=False,
        decode_threads=0,
        max_batch_items=2,
        max_batch_images=2,
        default_top_k=2,
        max_text_chars=100,
        max_image_pixels=1_000_000,
        with_vectors=with_vectors,
        with_features=False,
        is_beside_calls=is_beside_calls,
        log_format="text",
    )


def test_settings_arrive_as_they_were_sent():
    config = config_of(Path("/models/shop/1"))
    assert EngineConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("is_beside_calls", [False, True])
def test_loading_beside_calls_has_a_lower_priority(
    is_beside_calls: bool, toy_bundle: Path, sockets, monkeypatch: pytest.MonkeyPatch
):
    priorities: list[int] = []
    monkeypatch.setattr(engine_worker, "lower_thread_priority", priorities.append)
    Worker(sockets[1], Progress.create(), config_of(toy_bundle, is_beside_calls)).load()
    assert (priorities[0] > 0) == is_beside_calls


def test_a_process_tells_what_it_loaded_and_answers_frames_until_the_server_is_gone(
    toy_bundle: Path, sockets, jpeg: bytes
):
    own, others = sockets
    progress = Progress.create()
    worker = Worker(others, progress, config_of(toy_bundle))
    worker.load()
    loaded = receive(own)
    assert loaded is not None
    assert (loaded.header["loaded"]["engine"], loaded.header["loaded"]["max_images"]) == ("openvino", 2)
    assert pb.GetModelResponse.FromString(loaded.bodies[0]).limits.max_image_pixels == 1_000_000
    thread = threading.Thread(target=worker.run)
    thread.start()
    request = pb.ClassifyRequest(products=[named("shirt"), pb.Product(image=jpeg), pb.Product(maker="x" * 101)])
    parts = [[4, False, {}, []], [0, False, {"1": "brand"}, []]]
    own.sendall(pack(Frame({"number": 7, "parts": parts}, [request.SerializeToString()] * 2)))
    reply = receive(own)
    assert reply is not None
    assert (reply.header["number"], len(reply.header["parts"])) == (7, 2)
    first, second = map(pb.ClassifyResponse.FromString, reply.bodies)
    assert [c.WhichOneof("outcome") for c in first.classifications] == ["prediction", "prediction", "error"]
    assert [len(c.prediction.categories) for c in first.classifications] == [2, 2, 0]
    assert [c.WhichOneof("outcome") for c in second.classifications] == ["prediction", "error", "error"]
    assert "products[6].maker" in str(first.classifications[2].error)
    assert "products[1].brand" in str(second.classifications[1].error)
    assert progress.read()[1] == 7
    own.close()
    thread.join(30)
    assert not thread.is_alive()
    progress.close()


def test_a_frame_may_ask_for_categories_and_for_vectors(toy_bundle: Path, sockets, jpeg: bytes):
    own, others = sockets
    progress = Progress.create()
    worker = Worker(others, progress, config_of(toy_bundle, with_vectors=True))
    worker.load()
    loaded = receive(own)
    assert loaded is not None
    assert loaded.header["loaded"]["embedding_checksum"] == embedding_checksum(toy_bundle, "none")
    thread = threading.Thread(target=worker.run)
    thread.start()
    products = [pb.Product(image=jpeg, product_name="shirt"), named("shoe"), pb.Product(image=png(1001, 1000))]
    request = pb.ClassifyRequest(products=products)
    parts = [[0, False, {}, ["joint", "image"]], [0, False, {}, []], [5, False, {}, ["text", "image"]]]
    own.sendall(pack(Frame({"number": 1, "parts": parts}, [request.SerializeToString()] * 3)))
    reply = receive(own)
    assert reply is not None
    first, second, third = reply.header["parts"]
    expected = [[0, "image"], [0, "joint"], [1, "joint"]]
    assert (sorted(first["vectors"]), second["vectors"], sorted(third["vectors"])) == (
        expected, [], [[0, "image"], [0, "text"], [1, "text"]],
    )  # fmt: skip
    bodies = iter(reply.bodies)
    answers = []
    for part in (first, second, third):
        answers.append(pb.ClassifyResponse.FromString(next(bodies)).classifications)
        for _ in part["vectors"]:
            assert np.linalg.norm(np.frombuffer(next(bodies), np.float32)) == pytest.approx(1, abs=1e-4)
    outcomes = [[answer.WhichOneof("outcome") for answer in answered] for answered in answers]
    assert outcomes == [[None, None, "error"], ["prediction", "prediction", "error"], [None, None, "error"]]
    assert "products[7].image" in str(answers[2][2].error)  # over the limit of pixels
    own.close()
    thread.join(30)
    assert not thread.is_alive()
    progress.close()
