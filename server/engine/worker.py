"""Loads a bundle in an engine process and answers the frames that the server sends."""

import contextlib
import dataclasses
import gc
import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import cv2

from aisle_client.v1 import classifier_pb2
from model.bundle.bundle import load_bundle
from model.engines.engine_choice import EngineChoice, choose_engine, open_engine
from model.errors import AisleError
from model.machine.cores import usable_cores
from model.machine.memory import trim_memory
from model.machine.thread_priority import lower_thread_priority
from model.predictor import Predictor
from server.engine.answerer import Answerer, FrameReply
from server.engine.config import EngineConfig
from server.engine.decoder import Decoder
from server.engine.description import model_response
from server.engine.frames import Frame, pack, receive
from server.engine.progress import Progress
from server.engine.request import PartRequest

#: Niceness that loading beside calls adds: a fifth to a third of a contended core.
_LOADING_NICENESS = 6
#: Pictures of a batch that the engine does best with on a CPU are few; a frame holds some runs of the encoder.
_ENCODER_RUNS = 2

#: After a frame of more bytes freed memory is given back.
_LARGE_BYTES = 1024 * 1024
_TRIM_DELAY_S = 1.0
_FAULT_STATUS = 70  # EX_SOFTWARE of sysexits.h

_log = logging.getLogger("aisle.engine")


class Worker:
    """One engine process's predictor and its connection to the server.

    Args:
        connection: the process's end of the socket pair.
    """

    def __init__(self, connection: socket.socket, progress: Progress, config: EngineConfig):
        self._connection = connection
        self._progress = progress
        self._config = config
        self._receiving = threading.Lock()
        self._sending = threading.Lock()
        self._trimming: threading.Timer | None = None
        self._embedding_checksum = ""  # of the bundle's vectors; '' where none are made

    def choose_engine(self) -> None:
        """Tell the server which engine suits this machine and bundle; measuring takes a second.

        Raises:
            EngineError: an engine cannot open the bundle.
            OSError: the server is gone.
        """
        config = self._config
        choice = choose_engine(config.path, config.precision, config.threads or 1)
        self._send(Frame({"chosen": {"name": choice.name, "reason": choice.reason}}))

    def load(self) -> None:
        """Open the bundle and its engine, warm up, and tell the server what was loaded.

        Raises:
            BundleError: the bundle is missing or damaged.
            EngineError: the engine cannot run it.
            OSError: the server is gone.
        """
        niceness = _LOADING_NICENESS if self._config.is_beside_calls else 0
        # A thread of its own, because a lowered priority cannot be raised again.
        with ThreadPoolExecutor(1, initializer=lower_thread_priority, initargs=(niceness,)) as pool:
            pool.submit(self._load).result()
        gc.collect()
        gc.freeze()  # what was loaded stays
        self._send(self._description())

    def run(self) -> None:
        """Answer frames until the server closes the connection.

        Raises:
            EngineFaultError: the engine fails with any input.
        """
        for number in range(1, self._predictor.engine.num_streams):
            threading.Thread(target=self._answer_or_end, name=f"engine-{number}", daemon=True).start()
        self._answer_frames()

    def end(self, error: BaseException) -> NoReturn:
        """Tell the server why this process ends, and end it."""
        if not isinstance(error, AisleError):
            _log.error("the engine process ends", exc_info=error)
        with contextlib.suppress(OSError):
            self._send(Frame({"failed": {"kind": type(error).__name__, "text": str(error) or repr(error)}}))
        end_process(_FAULT_STATUS)

    def _answer_or_end(self) -> None:
        try:
            self._answer_frames()
        except BaseException as error:
            self.end(error)

    def _load(self) -> None:
        config = self._config
        bundle = load_bundle(config.path)
        choice = EngineChoice(config.engine, config.engine_reason)
        engine = open_engine(
            config.path,
            choice,
            config.precision,
            config.threads or (0 if config.engine == "keras" else 1),
            map_weights=config.map_weights,
        )
        is_on_cpu = engine.device == "CPU"
        if is_on_cpu:
            cv2.setNumThreads(config.threads or 1)
        predictor = self._predictor = Predictor(bundle, engine)
        decoder = Decoder(predictor.decode, config.decode_threads or (1 if is_on_cpu else usable_cores()))
        self._max_images = config.max_batch_images or engine.max_images * (_ENCODER_RUNS if is_on_cpu else 1)
        self._answerer = Answerer(predictor, decoder, self._progress, config.max_text_chars, config.with_features)
        # Set once the answerer has its picture to warm up with, which may be larger.
        image = predictor.preprocessor.image
        if config.max_image_pixels:
            predictor.preprocessor.image = dataclasses.replace(image, max_image_pixels=config.max_image_pixels)
        self._load_vector_answerer()
        self._answerer.warm_up(config.max_batch_items, min(self._max_images, engine.max_images))

    def _load_vector_answerer(self) -> None:
        """Open what makes vectors, for a server with an index; it needs ONNX Runtime, which others do without."""
        if self._config.with_vectors:
            from retrieval.embedding.embedder import Embedder
            from server.engine.vector_answerer import VectorAnswerer

            embedder = Embedder(self._predictor, threads=self._config.threads or 1)
            self._embedding_checksum = embedder.checksum
            self._vector_answerer = VectorAnswerer(embedder, self._progress, self._config.max_text_chars)

    def _description(self) -> Frame:
        predictor = self._predictor
        bundle, engine = predictor.bundle, predictor.engine
        header = {
            "name": bundle.name,
            "version": bundle.version,
            "engine": engine.name,
            "precision": engine.precision,
            "device": engine.device,
            "num_threads": engine.num_streams,
            "max_images": self._max_images,
            "reads_pictures": "image" in bundle.fields,
            "categories": bundle.taxonomy.levels[0],
            "embedding_checksum": self._embedding_checksum,
        }
        response = model_response(predictor, predictor.preprocessor.image.max_image_pixels)
        return Frame({"loaded": header}, [response.SerializeToString()])

    def _answer_frames(self) -> None:
        while self._answer_frame():
            pass

    def _answer_frame(self) -> bool:
        """Answer the next frame; False when there are no more. A function of its own, so that nothing of it stays."""
        with self._receiving:
            frame = receive(self._connection)
        if frame is None:
            return False
        self._progress.begin_frame(frame.header["number"])
        parts = [self._part(*described) for described in zip(frame.header["parts"], frame.bodies, strict=True)]
        reply = self._answer(parts)
        self._send(_reply_frame(frame.header["number"], reply))
        self._progress.step()
        if sum(map(len, frame.bodies)) > _LARGE_BYTES or any(part.may_be_large for part in parts):
            self._trim_later()
        return True

    def _answer(self, parts: Sequence[PartRequest]) -> FrameReply:
        """Answer the parts that ask for categories as one batch, and those that ask for vectors as another."""
        if not any(part.spaces for part in parts):
            return self._answerer.answer(parts)
        kinds = [bool(part.spaces) for part in parts]
        classified = self._answerer.answer([part for part in parts if not part.spaces])
        embedded = self._vector_answerer.answer([part for part in parts if part.spaces])
        replies = {False: iter(classified.parts), True: iter(embedded.parts)}
        return FrameReply(
            [next(replies[kind]) for kind in kinds],
            classified.decode_s + embedded.decode_s,
            classified.inference_s + embedded.inference_s,
        )

    def _trim_later(self) -> None:
        """Give freed memory back in a while, once for all large frames until then, because it takes milliseconds."""
        if self._trimming is None or not self._trimming.is_alive():
            self._trimming = threading.Timer(_TRIM_DELAY_S, _trim)
            self._trimming.daemon = True
            self._trimming.start()

    def _part(self, described: list[Any], content: bytes) -> PartRequest:
        first_index, may_be_large, not_utf8, spaces = described
        message = classifier_pb2.ClassifyRequest.FromString(content)
        message.top_k = message.top_k or self._config.default_top_k
        bad_texts = {int(i): field for i, field in not_utf8.items()}
        return PartRequest(first_index, message, may_be_large, bad_texts, tuple(spaces))

    def _send(self, frame: Frame) -> None:
        content = pack(frame)
        with self._sending:
            self._connection.sendall(content)


def _reply_frame(number: int, reply: FrameReply) -> Frame:
    bodies = []
    parts = []
    for part in reply.parts:
        bodies += [part.content, *part.features.values(), *part.vectors.values()]
        parts.append(
            {
                "is_failed": part.is_failed,
                "large": [dataclasses.astuple(picture) for picture in part.large],
                "accepted": part.num_accepted,
                "needs_review": part.num_needs_review,
                "categories": part.category_counts,
                "errors": part.error_counts,
                "features": list(part.features),
                "vectors": list(part.vectors),
            }
        )
    header = {"number": number, "decode_s": reply.decode_s, "inference_s": reply.inference_s, "parts": parts}
    return Frame(header, bodies)


def _trim() -> None:
    gc.collect()  # errors of broken pictures hold them in circles
    trim_memory()


def end_process(status: int) -> NoReturn:
    """End without destructors: an engine's own may wait for its threads for ever."""
    sys.stderr.flush()
    os._exit(status)
