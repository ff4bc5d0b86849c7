"""A thin client of the gRPC service; needs neither TensorFlow nor the server's code."""
