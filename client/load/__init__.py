"""The load test: requests at a chosen rate, and the latency of their answers."""
