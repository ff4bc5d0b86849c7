"""A loaded bundle and its engine, ready to answer products; shared by evaluation, `predict` and the server."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from model.bundle.bundle import Bundle, load_bundle
from model.engines.engine import Engine, EngineName, Precision
from model.engines.engine_choice import open_engine
from model.errors import AisleError
from model.features import Features
from model.prediction.answers import Answers, Prediction, ScoredCategory, WordSupport, answer, answer_each, softmax
from model.prediction.field_subsets import SubsetThresholds, prior_mass_values, temperature_values
from model.prediction.formula import HeadLogits
from model.prediction.word_support import NameOcclusion
from model.product import Product, head_rows
from model.sub_tree import SubTree


class Predictor:
    """Answers products with one bundle. Thread-safe.

    The steps are public because the server batches between them: `check` and `decode` (one product, may fail
    alone), then `predict_decoded` (a batch).
    """

    def __init__(self, bundle: Bundle, engine: Engine):
        self.bundle = bundle
        self.engine = engine
        self.preprocessor = bundle.preprocessor
        self._formula = bundle.calibration.formula
        self._neighbors = bundle.neighbors
        self._temperatures = temperature_values(self._formula, bundle.fields)
        self._prior_masses = prior_mass_values(self._formula, bundle.fields)
        self._thresholds = SubsetThresholds(bundle.calibration, bundle.fields)

    @classmethod
    def open(
        cls,
        bundle_dir: Path,
        engine: EngineName = "auto",
        precision: Precision = "float32",
        threads: int = 0,
        many_callers: bool = False,
    ) -> "Predictor":
        """Load and verify a bundle, then open its engine; see `open_engine`.

        Raises:
            BundleError: the bundle is damaged.
            EngineError: the engine cannot run it.
        """
        bundle = load_bundle(bundle_dir)
        return cls(bundle, open_engine(bundle_dir, engine, precision, threads, many_callers))

    def check(self, product: Product) -> None:
        """Raise ProductError when the product cannot be answered by this bundle."""
        self.preprocessor.check(product)

    def decode(self, product: Product) -> np.ndarray | None:
        """(H, W, 3) uint8 pixels of the product's picture, None when it has none to decode.

        Raises:
            PictureError: the picture is broken or over a limit.
        """
        return self.preprocessor.decode(product)

    def features(self, products: Sequence[Product], image_features: np.ndarray | None = None) -> Features:
        """Classifier inputs for checked products; see `Preprocessor.features`."""
        return self.preprocessor.features(products, image_features)

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) uint8 to (B, F) float32, in runs of as many pictures as the engine does best with."""
        most = self.engine.max_images
        if len(images) <= most:
            return self.engine.encode_images(images)
        return np.concatenate([self.engine.encode_images(images[i : i + most]) for i in range(0, len(images), most)])

    def classify(self, features: Features, all_heads: bool = True) -> dict[str, np.ndarray]:
        """Classifier inputs, (B, ...) each, to logits and embedding.

        Returns:
            "joint_logits" (B, K) float32, calibrated, see `JointFormula`; beside it the engine's outputs, and with
            neighbours "neighbors_logits".
        """
        outputs = self.engine.classify(features, all_heads)
        network = outputs["network_logits"]
        if self._neighbors is not None:
            outputs["neighbors_logits"] = self._neighbors.logits(features, network.shape[1])
        heads = HeadLogits(network, outputs.get("linear_logits"), outputs.get("neighbors_logits"))
        outputs["joint_logits"] = self._formula.logits(heads, self._temperatures.of_rows(features["presence"]))
        return outputs

    def answers(
        self, outputs: dict[str, np.ndarray], presence: np.ndarray, top_k: int, sub_tree: SubTree | None = None
    ) -> Answers:
        """Outputs of `classify` to answers as arrays; see `model.prediction.answers.answer`.

        Args:
            presence: (N, F) flags, as among the classifier's inputs.
        """
        taxonomy, calibration = self.bundle.taxonomy, self.bundle.calibration
        thresholds = self._thresholds.of_rows(presence)
        return answer(
            outputs["joint_logits"], self.prior_masses(presence), taxonomy, calibration, thresholds, top_k, sub_tree
        )

    def prior_masses(self, presence: np.ndarray) -> np.ndarray:
        """(N, 1) float32, what the evidence leaves open; see `model.prediction.answers.probabilities`.

        Args:
            presence: (N, F) flags, as among the classifier's inputs.
        """
        return self._prior_masses.of_rows(presence)

    def predictions(
        self,
        products: Sequence[Product],
        outputs: dict[str, np.ndarray],
        top_k: int,
        all_heads: bool = True,
        sub_trees: Sequence[SubTree | None] = (),
    ) -> list[Prediction]:
        """Outputs of `classify` to one Prediction a product, in order.

        Args:
            all_heads: whether predictions carry `heads`.
            sub_trees: what each product's answer is restricted to; empty restricts none.
        """
        taxonomy, calibration = self.bundle.taxonomy, self.bundle.calibration
        presence = self.preprocessor.presence(products)
        if any(sub_trees):
            thresholds = self._thresholds.of_rows(presence)
            located = answer_each(
                outputs["joint_logits"],
                self.prior_masses(presence),
                taxonomy,
                calibration,
                thresholds,
                top_k,
                sub_trees,
            )
        else:
            answers = self.answers(outputs, presence, top_k)
            located = [(answers, row) for row in range(len(products))]
        heads: list[dict[str, ScoredCategory]] = [{} for _ in products]
        if all_heads:
            self._answer_heads(presence, outputs, heads)
        return [
            Prediction(
                product.product_id,
                answers.categories(position, taxonomy),
                answers.accepted(position, taxonomy),
                answers.needs_review(position, taxonomy),
                heads[row],
                outputs["embedding"][row],
            )
            for row, (product, (answers, position)) in enumerate(zip(products, located, strict=True))
        ]

    def predict(
        self,
        products: Sequence[Product],
        top_k: int = 5,
        all_heads: bool = True,
        sub_tree: SubTree | None = None,
        with_words: bool = False,
    ) -> list[Prediction | AisleError]:
        """Answer products as one batch; a bad one becomes its error and costs no neighbour.

        Args:
            all_heads, with_words: whether predictions carry `heads` and `words`; they cost time.
            sub_tree: what the answers are restricted to; None is the whole tree.
        """
        results: dict[int, Prediction | AisleError] = {}
        good: list[int] = []
        pixels: dict[int, np.ndarray] = {}
        for i, product in enumerate(products):
            try:
                self.check(product)
                decoded = self.decode(product)
            except AisleError as error:
                results[i] = error
                continue
            if decoded is not None:
                pixels[len(good)] = decoded
            good.append(i)
        if good:
            sub_trees, with_words_of = [sub_tree] * len(good), range(len(good)) if with_words else ()
            chosen = [products[i] for i in good]
            predictions = self.predict_decoded(chosen, pixels, top_k, all_heads, sub_trees, with_words_of)
            results.update(zip(good, predictions, strict=True))
        return [results[i] for i in range(len(products))]

    def predict_decoded(
        self,
        products: Sequence[Product],
        pixels: Mapping[int, np.ndarray],
        top_k: int,
        all_heads: bool = True,
        sub_trees: Sequence[SubTree | None] = (),
        with_words: Collection[int] = (),
    ) -> list[Prediction]:
        """Answer a batch of checked products.

        Args:
            pixels: what `decode` made of the pictures, by the position of their product.
            all_heads, sub_trees, with_words: see `predict_encoded`.
        """
        image_features = self.preprocessor.empty_image_features(len(products))
        if pixels and image_features is not None:
            image_features[list(pixels)] = self.encode_images(np.stack(list(pixels.values())))
        return self.predict_encoded(products, image_features, top_k, all_heads, sub_trees, with_words)

    def predict_encoded(
        self,
        products: Sequence[Product],
        image_features: np.ndarray | None,
        top_k: int,
        all_heads: bool = True,
        sub_trees: Sequence[SubTree | None] = (),
        with_words: Collection[int] = (),
    ) -> list[Prediction]:
        """Answer a batch of checked products whose pictures are encoded.

        Args:
            image_features: (N, F) float32, see `Preprocessor.features`.
            all_heads: whether predictions carry `heads`; they cost time.
            sub_trees: what each product's answer is restricted to; empty restricts none.
            with_words: positions of those whose prediction carries `words`; they cost up to 24 times the rest.
        """
        features = self.features(products, image_features)
        outputs = self.classify(features, all_heads)
        predictions = self.predictions(products, outputs, top_k, all_heads, sub_trees)
        return self._with_words(predictions, sorted(with_words), products, features, outputs, sub_trees)

    def _with_words(
        self,
        predictions: list[Prediction],
        rows: Sequence[int],
        products: Sequence[Product],
        features: Features,
        outputs: dict[str, np.ndarray],
        sub_trees: Sequence[SubTree | None],
    ) -> list[Prediction]:
        if not rows:
            return predictions
        names = [products[row].product_name for row in rows]
        asked = {name: values[list(rows)] for name, values in features.items()}
        masks = [sub_trees[row] for row in rows] if sub_trees else ()
        supports = self.word_supports(names, asked, outputs["joint_logits"][list(rows)], masks)
        for row, words in zip(rows, supports, strict=True):
            predictions[row] = replace(predictions[row], words=words)
        return predictions

    def word_supports(
        self,
        names: Sequence[str],
        features: Features,
        joint_logits: np.ndarray,
        sub_trees: Sequence[SubTree | None] = (),
    ) -> list[tuple[WordSupport, ...]]:
        """The effect of each word of N names on the answers; see `NameOcclusion.word_supports`."""
        occlusion = NameOcclusion(
            self.preprocessor.tokenizer,
            self.bundle.fields,
            lambda shortened: self.classify(shortened, all_heads=False)["joint_logits"],
            self.prior_masses,
        )
        return occlusion.word_supports(names, features, joint_logits, sub_trees)

    def _answer_heads(
        self, presence: np.ndarray, outputs: dict[str, np.ndarray], answers: list[dict[str, ScoredCategory]]
    ) -> None:
        bundle = self.bundle
        for head in bundle.heads:
            if head == "joint":
                continue
            given = head_rows(head, presence, bundle.fields)
            probabilities = softmax(outputs[f"{head}_logits"], bundle.calibration.head_temperature(head))
            for row in np.flatnonzero(given):
                leaf = int(probabilities[row].argmax())
                path = bundle.taxonomy.leaves[leaf]
                answers[row][head] = ScoredCategory(
                    path, bundle.taxonomy.category_id(path), float(probabilities[row, leaf])
                )

    def close(self) -> None:
        """Free the engine."""
        self.engine.close()
