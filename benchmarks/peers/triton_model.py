"""The model for Triton's Python backend, which runs a batch of requests in one `execute`.

Triton loads it as `1/model.py` and provides `triton_python_backend_utils`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as utils

from benchmarks.peers.batch_classifier import BatchClassifier, product


class TritonPythonModel:
    """A model of the Python backend; see Triton's documentation."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the bundle of config.pbtxt."""
        given = {name: value["string_value"] for name, value in json.loads(args["model_config"])["parameters"].items()}
        self._classifier = BatchClassifier(
            Path(given["bundle"]),
            given["engine"],  # type: ignore[arg-type]
            given["precision"],  # type: ignore[arg-type]
            int(given["engine_threads"]),
            int(given["decoders"]),
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Classify the products of all requests as one batch."""
        texts = [utils.get_input_tensor_by_name(request, "texts").as_numpy() for request in requests]
        images = [utils.get_input_tensor_by_name(request, "image").as_numpy() for request in requests]
        products = [
            product(*row)
            for pair in zip(texts, images, strict=True)
            for row in zip(pair[0], pair[1][:, 0], strict=True)
        ]
        categories, probabilities = self._classifier.classify(products, self._classifier.decode(products))
        names = np.array([[category.encode() for category in row] for row in categories], dtype=object)
        responses, start = [], 0
        for rows in texts:
            end = start + len(rows)
            outputs = [
                utils.Tensor("categories", names[start:end]),
                utils.Tensor("probabilities", probabilities[start:end]),
            ]
            responses.append(utils.InferenceResponse(outputs))
            start = end
        return responses
