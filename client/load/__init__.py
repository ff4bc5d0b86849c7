"""The load test: requests at a chosen rate, and how long the answers took."""
