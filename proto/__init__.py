"""The gRPC contract and the stubs built from it (`python -m proto.generate`)."""
