"""The gRPC service: what answers a shop, one noun a file (`python -m server --help`)."""
