"""Version 1 of the contract, `proto/aisle/v1/`; its stubs are built, not committed."""

from importlib.util import find_spec

if find_spec("aisle_client.v1.classifier_pb2_grpc") is None:
    raise ImportError("the gRPC stubs are not built; run python -m contract.generate")
