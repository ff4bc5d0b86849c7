"""A thin client of the gRPC service; needs neither TensorFlow nor anything of the server."""
