"""Checks that a competitor answers as the model itself does, because the speed of wrong answers is meaningless."""

from collections.abc import Sequence

from benchmarks.peers.batch_classifier import BatchClassifier
from benchmarks.serving.competitors import ServedBundle, ServerName, ask
from benchmarks.serving.protocols import Answer
from model.engines.engine import Precision
from model.product import Product


def reference_answers(served: ServedBundle, products: Sequence[Product]) -> list[Answer]:
    """Return the model's own answers with OpenVINO in float32, each product alone."""
    classifier = BatchClassifier(served.bundle, "openvino", "float32", engine_threads=0, decoders=1)
    answers: list[Answer] = []
    for product in products:
        (categories,), (probabilities,) = classifier.classify([product], classifier.decode([product]))
        answers.append(list(zip(categories, probabilities.tolist(), strict=True)))
    return answers


def check_answers(
    name: ServerName, port: int, products: Sequence[Product], expected: Sequence[Answer], precision: Precision
) -> None:
    """Classify the products one by one and compare the best category and its probability.

    Args:
        precision: arithmetic of OpenVINO; only float32 is within 0.001.
    Raises:
        SystemExit: an answer is wrong; names competitor and product.
    """
    tolerance = 1e-3 if precision == "float32" else 0.1
    for product, found, right in zip(products, ask(name, port, products), expected, strict=True):
        if found[0][0] != right[0][0] or abs(found[0][1] - right[0][1]) > tolerance or len(found) != len(right):
            raise SystemExit(
                f"{name} answers product {product.product_id} wrong: expected {right[0][0]} with {right[0][1]:.4f} and"
                f" {len(right)} categories, found {found[0][0]} with {found[0][1]:.4f} and {len(found)};"
                " fix it first"
            )
