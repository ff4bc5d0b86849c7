"""Brings the answers of a model that learned drawn rows back to the shares that categories have among products."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from model.product import head_rows
from training.ensemble.calibration_rows import CalibrationRows, CalibrationSource
from training.ensemble.formula_fitting import fit_factors
from training.ensemble.trained_model import TrainedModel
from training.sampling.row_draw import RowDraw

#: Rows that a scale is fitted on: so many, or more where categories are few.
_MIN_FITTED, _MAX_FITTED_VALUES = 3_000, 5_000_000
#: Of the offsets, where the theory's is 1: rows that lack the rare categories would ask for any number.
_MOST_STRENGTH = 1.5

_log = logging.getLogger("aisle.ensemble")


@dataclass(frozen=True, eq=False)
class PriorCorrection:
    """Offsets of the logits of each head (Saerens, Latinne and Decaestecker 2002), which become biases of the model.

    Args:
        offsets: (K,) float32 by head: those trained with the network, "joint" among them, and "linear".
    """

    offsets: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, rows: CalibrationRows, fields: tuple[str, ...], draw: RowDraw) -> "PriorCorrection":
        """Scale the offsets of a draw for each head, by its answers to rows with products' own shares.

        By the theory they count once where a temperature has divided the logits. A head that learned repeated rows by
        heart, however, owes less of its answers to the shares; so what they count is fitted, beside the temperature.

        Args:
            fields: of the model.
        """
        heads = {"joint": rows.heads.network, **rows.single_heads}
        wanted = dict.fromkeys(heads, draw.network_offsets)
        if rows.heads.linear is not None:
            heads["linear"], wanted["linear"] = rows.heads.linear, draw.linear_offsets
        offsets = {}
        for head, logits in heads.items():
            given = np.random.default_rng(0).permutation(np.flatnonzero(head_rows(head, rows.presence, fields)))
            given = given[: max(_MIN_FITTED, _MAX_FITTED_VALUES // logits.shape[1])]
            scale = _fitted_scale(logits[given], wanted[head], rows.labels[given]) if len(given) else 1.0
            _log.info("%s: correction of the shares times %.2f", head, scale)
            offsets[head] = np.float32(scale) * wanted[head]
        return cls(offsets)

    def of_rows(self, rows: CalibrationRows, fields: tuple[str, ...]) -> CalibrationRows:
        """The answers that the corrected model gives to the same rows."""
        single = {head: logits + self.offsets[head] for head, logits in rows.single_heads.items()}
        heads = replace(rows.heads, network=rows.heads.network + self.offsets["joint"])
        if heads.linear is not None:
            has_text = head_rows("linear", rows.presence, fields)  # without text its logits are 0
            heads = replace(heads, linear=heads.linear + has_text[:, None] * self.offsets["linear"])
        return replace(rows, heads=heads, single_heads=single)

    def of_model(self, model: TrainedModel) -> TrainedModel:
        """The corrected model; its network is the same object, changed."""
        for head in model.shape.heads:
            bias = model.classifier.get_layer(f"{head}_classes").bias
            bias.assign(bias + self.offsets[head])
        linear = model.linear
        if linear is not None and "linear" in self.offsets:
            linear = replace(linear, biases=linear.biases + self.offsets["linear"])
        return replace(model, linear=linear)


def _fitted_scale(logits: np.ndarray, offsets: np.ndarray, labels: np.ndarray) -> float:
    """Factor of the offsets beside logits that a temperature will divide."""
    factor, strength = fit_factors([logits, np.broadcast_to(offsets, logits.shape)], labels, _MOST_STRENGTH)
    return strength / factor


class CorrectedRows:
    """The rows of another source as the corrected model answers them; see `CalibrationSource`."""

    def __init__(self, source: CalibrationSource, draw: RowDraw):
        rows = source.rows
        self._source = source
        self.correction = PriorCorrection.of(rows, source.fields, draw)
        self._rows = self.correction.of_rows(rows, source.fields)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the model."""
        return self._source.fields

    @property
    def rows(self) -> CalibrationRows:
        """All rows as they come."""
        return self._rows

    def hidden(self, kept: tuple[str, ...]) -> CalibrationRows:
        """Rows that have all of these fields, with no other."""
        return self.correction.of_rows(self._source.hidden(kept), self.fields)
