"""Version 1 of the contract; its stubs are built, not committed."""

from importlib.util import find_spec

if find_spec("proto.aisle.v1.classifier_pb2_grpc") is None:
    raise ImportError("the gRPC stubs are not built; run python -m proto.generate")
