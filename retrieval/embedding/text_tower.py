"""A text tower that comes with an image encoder: words and pictures in one space (CLIP, Radford et al. 2021)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.engines.onnx_engine import OnnxProgram
from model.errors import EngineError, SettingsError
from retrieval.embedding.image_encoders import named_output
from retrieval.embedding.preprocessing import TextPreprocessing
from retrieval.embedding.projection import unit_length


class TextTower:
    """Texts to vectors. Thread-safe.

    Args:
        folder: that the paths of `preprocessing` are relative to.
    Raises:
        EngineError: the program or the tokenizer cannot be loaded, or `tokenizers` is not installed.
        SettingsError: the program has an input that nothing is known of.
    """

    def __init__(self, folder: Path, preprocessing: TextPreprocessing):
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise EngineError(
                f"a text tower needs the package tokenizers ({error}); run pip install tokenizers"
            ) from error
        self._preprocessing = preprocessing
        self._where = folder / preprocessing.program
        self._program = OnnxProgram(self._where)
        path = folder / preprocessing.tokenizer
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # its own errors share no base class
            raise EngineError(f"{path} cannot be read: {error}; expected a tokenizer.json of `tokenizers`") from error
        self._tokenizer.enable_truncation(preprocessing.num_tokens)
        self._tokenizer.enable_padding(length=preprocessing.num_tokens)
        unknown = set(self._program.input_names) - {"input_ids", "attention_mask"}
        if unknown:
            raise SettingsError(
                f"{self._where}: expected the inputs input_ids and attention_mask, found {', '.join(sorted(unknown))};"
                " export it with these names"
            )

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32 of unit length."""
        encoded = self._tokenizer.encode_batch(list(texts))
        given = {
            "input_ids": np.array([entry.ids for entry in encoded], np.int64),
            "attention_mask": np.array([entry.attention_mask for entry in encoded], np.int64),
        }
        outputs = self._program.run({name: given[name] for name in self._program.input_names})
        return unit_length(named_output(outputs, self._preprocessing.output, self._where))
