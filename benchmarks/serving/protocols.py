"""The protocols of the competitors: encoding products to requests, connecting, and reading answers."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import aiohttp
import grpc
import msgpack
import numpy as np
from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from aisle_client.channel import PLAIN_TEXT
from aisle_client.messages import product_message
from aisle_client.v1 import classifier_pb2
from benchmarks.peers.batch_classifier import TOP_K
from client.load.generator import Ask, grpc_connection
from contract.generate import run_protoc
from model.product import TEXT_COLUMNS, Product


def _messages_of(source: Path) -> dict[str, type[Message]]:
    """Compile a .proto file in a process of its own, see `run_protoc`; return its messages by full name."""
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "image.binpb"
        run_protoc(source.parent, [f"--descriptor_set_out={image}", source.name])
        return message_factory.GetMessages(FileDescriptorSet.FromString(image.read_bytes()).file)


_messages = _messages_of(Path(__file__).parents[1] / "peers" / "open_inference.proto")
_Request: Any = _messages["inference.ModelInferRequest"]
_Response: Any = _messages["inference.ModelInferResponse"]

#: The best categories of one product with their probabilities, best first.
Answer: TypeAlias = list[tuple[str, float]]
ProtocolName = Literal["aisle", "open-inference", "mosec"]


class WireProtocol(Protocol):
    """The interface of a protocol."""

    def encode(self, products: Sequence[Product]) -> bytes:
        """Encode one request."""
        ...

    def connect(self, port: int) -> AbstractAsyncContextManager[Ask]:
        """Open a connection to a port of this machine."""
        ...

    def read(self, answer: bytes) -> list[Answer]:
        """Read one answer per product."""
        ...


class AisleProtocol:
    """gRPC with Aisle's contract."""

    def encode(self, products: Sequence[Product]) -> bytes:
        """Encode a ClassifyRequest."""
        return classifier_pb2.ClassifyRequest(products=map(product_message, products), top_k=TOP_K).SerializeToString()

    def connect(self, port: int) -> AbstractAsyncContextManager[Ask]:
        """Open a gRPC connection."""
        return grpc_connection(f"127.0.0.1:{port}", PLAIN_TEXT)

    def read(self, answer: bytes) -> list[Answer]:
        """Read a ClassifyResponse."""
        response = classifier_pb2.ClassifyResponse.FromString(answer)
        return [
            [(category.category, category.probability) for category in classification.prediction.categories]
            for classification in response.classifications
        ]


class OpenInferenceProtocol:
    """gRPC with the Open Inference Protocol v2 and raw tensors."""

    def encode(self, products: Sequence[Product]) -> bytes:
        """Encode a ModelInferRequest: texts (N, columns of text) and image (N, 1), both BYTES."""
        texts = [str(getattr(product, field)).encode() for product in products for field in TEXT_COLUMNS]
        images = [product.image or b"" for product in products]
        request = _Request(model_name="aisle", raw_input_contents=[_packed(texts), _packed(images)])
        for name, columns in (("texts", len(TEXT_COLUMNS)), ("image", 1)):
            request.inputs.add(name=name, datatype="BYTES", shape=[len(products), columns])
        return request.SerializeToString()

    def connect(self, port: int) -> AbstractAsyncContextManager[Ask]:
        """Open a gRPC connection."""
        return grpc_connection(f"127.0.0.1:{port}", PLAIN_TEXT, "/inference.GRPCInferenceService/ModelInfer")

    def read(self, answer: bytes) -> list[Answer]:
        """Read a ModelInferResponse with categories (N, k) BYTES and probabilities (N, k) FP32, raw or not."""
        response = _Response.FromString(answer)
        indices = {tensor.name: i for i, tensor in enumerate(response.outputs)}
        categories, probabilities = (response.outputs[indices[name]] for name in ("categories", "probabilities"))
        num_products, top_k = categories.shape
        if response.raw_output_contents:
            names = _unpacked(response.raw_output_contents[indices["categories"]])
            values = np.frombuffer(response.raw_output_contents[indices["probabilities"]], np.float32).tolist()
        else:
            names, values = categories.contents.bytes_contents, probabilities.contents.fp32_contents
        pairs = [(name.decode(), value) for name, value in zip(names, values, strict=True)]
        return [pairs[row * top_k : (row + 1) * top_k] for row in range(num_products)]


class MosecProtocol:
    """HTTP with MessagePack."""

    def encode(self, products: Sequence[Product]) -> bytes:
        """Encode a list of [texts, image]."""
        return msgpack.packb(
            [([getattr(product, field) for field in TEXT_COLUMNS], product.image or b"") for product in products]
        )

    @asynccontextmanager
    async def connect(self, port: int) -> AsyncIterator[Ask]:
        """Open an HTTP session with a persistent connection per caller."""
        url = f"http://127.0.0.1:{port}/inference"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def ask(request: bytes, timeout_s: float) -> bytes | grpc.StatusCode:
                try:
                    async with session.post(url, data=request, timeout=aiohttp.ClientTimeout(timeout_s)) as response:
                        answer = await response.read()
                        return answer if response.status == 200 else grpc.StatusCode.UNKNOWN
                except TimeoutError:
                    return grpc.StatusCode.DEADLINE_EXCEEDED
                except aiohttp.ClientError:
                    return grpc.StatusCode.UNAVAILABLE

            yield ask

    def read(self, answer: bytes) -> list[Answer]:
        """Read a list of [categories, probabilities]."""
        return [list(zip(names, values, strict=True)) for names, values in msgpack.unpackb(answer)]


PROTOCOLS: dict[ProtocolName, WireProtocol] = {
    "aisle": AisleProtocol(),
    "open-inference": OpenInferenceProtocol(),
    "mosec": MosecProtocol(),
}


def _packed(elements: Sequence[bytes]) -> bytes:
    """Encode a BYTES tensor: each element after its length."""
    return b"".join(part for element in elements for part in (len(element).to_bytes(4, "little"), element))


def _unpacked(packed: bytes) -> list[bytes]:
    elements, start = [], 0
    while start < len(packed):
        end = start + 4 + int.from_bytes(packed[start : start + 4], "little")
        elements.append(packed[start + 4 : end])
        start = end
    return elements
