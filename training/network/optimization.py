"""The network as it is trained: a loss and an optimizer on top."""

from collections.abc import Mapping, Sequence

import keras

from model.settings import Settings, TrainingSettings
from training.network.logit_offsets import LogitOffsets
from training.network.losses import EarlyLearningLoss, LabelAccuracy, SmoothedCrossEntropy
from training.sampling.row_draw import RowDraw


def over_logits(classifier: keras.Model, draw: RowDraw | None = None) -> keras.Model:
    """The trainable model: the classifier without the embedding, which has no loss.

    Args:
        draw: of the training rows; adds to the logits what its loss adds, and for answers what makes them those for
            the true shares, so that epochs are compared by these.
    """
    outputs = dict(classifier.output)
    del outputs["embedding"]
    if draw is not None:
        offsets = draw.loss_offsets, draw.network_offsets
        outputs = {name: LogitOffsets(*offsets, name=f"{name}_offset")(logits) for name, logits in outputs.items()}
    return keras.Model({tensor.name: tensor for tensor in classifier.inputs}, outputs, name="trained")


def head_loss_weights(heads: Sequence[str], settings: Settings) -> dict[str, float]:
    """Weight of the loss of each head of a network, in their order."""
    joint = settings.training.joint_loss_weight
    return {head: joint if head == "joint" else getattr(settings.fields, f"{head}_loss_weight") for head in heads}


def compile_network(
    model: keras.Model,
    loss_weights: Mapping[str, float],
    settings: TrainingSettings,
    steps: int,
    early_learning: float = 0.0,
) -> None:
    """Attach losses, per-head accuracy and the optimizer, whose learning rate ends at 0 after `steps`.

    Args:
        loss_weights: by head.
        early_learning: weight of that term of `EarlyLearningLoss`.
    """
    outputs = [f"{head}_logits" for head in loss_weights]
    smoothing, accuracy = settings.label_smoothing, keras.metrics.SparseCategoricalAccuracy
    losses = {output: SmoothedCrossEntropy(smoothing) for output in outputs}
    if early_learning:
        losses = {output: EarlyLearningLoss(smoothing, early_learning) for output in outputs}
        accuracy = LabelAccuracy
    model.compile(
        optimizer=build_optimizer(settings, steps),
        loss=losses,
        loss_weights={f"{head}_logits": weight for head, weight in loss_weights.items()},
        weighted_metrics={output: [accuracy(name="accuracy")] for output in outputs},
    )


def build_optimizer(settings: TrainingSettings, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer by name, with linear warm-up and cosine decay (Loshchilov and Hutter 2017)."""
    warmup_steps = min(settings.warmup_steps, steps // 5)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else settings.learning_rate,
        decay_steps=max(steps - warmup_steps, 1),
        warmup_target=settings.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    optimizers = {
        "Adam": keras.optimizers.Adam,
        "Adagrad": keras.optimizers.Adagrad,
        "Adadelta": keras.optimizers.Adadelta,
        "SGD": keras.optimizers.SGD,
    }
    return optimizers[settings.optimizer](learning_rate=schedule)
