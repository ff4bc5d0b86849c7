"""The Open Inference Protocol, version 2: tensors in, tensors out, over what `server.service` answers."""

from importlib.util import find_spec

if find_spec("server.open_inference.open_inference_pb2_grpc") is None:
    raise ImportError("the gRPC stubs are not built; run python -m contract.generate")
