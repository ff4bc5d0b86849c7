"""usearch, loaded after ONNX Runtime.

The other way round the process dies while it loads ONNX Runtime: usearch 2.26.2 to 2.26.6 brings C++ symbols of its own
that ONNX Runtime 1.31 and 1.32 then take for theirs. Nothing else may import usearch.
"""

from contextlib import suppress

with suppress(ImportError):
    import onnxruntime  # noqa: F401

from usearch.index import Index, MetricKind, search

__all__ = ["Index", "MetricKind", "search"]
