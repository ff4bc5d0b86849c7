"""Servers to measure against, each as its users start it."""
