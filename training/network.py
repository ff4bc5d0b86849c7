"""The network as it is trained: one or two programs joined, a loss and an optimizer on top."""

import keras

from model.classifier import ClassifierShape
from model.settings import Settings, TrainingSettings
from training.losses import SmoothedCrossEntropy


def join_programs(classifier: keras.Model, image_encoder: keras.Model | None, settings: Settings) -> keras.Model:
    """The trainable model over logits; takes pixels instead of features when the backbone is fine-tuned."""
    if image_encoder is None or settings.image.finetune_layers == 0:
        outputs = dict(classifier.output)
        inputs = {tensor.name: tensor for tensor in classifier.inputs}
    else:
        size = settings.image.image_size
        inputs = {
            tensor.name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name)
            for tensor in classifier.inputs
            if tensor.name != "image_features"
        }
        inputs["images"] = keras.Input((size, size, 3), dtype="uint8", name="images")
        features = image_encoder(_augment(inputs["images"], settings.training.seed))["image_features"]
        texts = {name: tensor for name, tensor in inputs.items() if name != "images"}
        outputs = dict(classifier({**texts, "image_features": features}))
    del outputs["embedding"]
    return keras.Model(inputs, outputs, name="trained")


def compile_network(model: keras.Model, shape: ClassifierShape, settings: TrainingSettings, steps: int) -> None:
    """Attach losses, per-head accuracy and the optimizer, whose learning rate ends at 0 after `steps`."""
    outputs = [f"{head}_logits" for head in shape.heads]
    model.compile(
        optimizer=build_optimizer(settings, steps),
        loss={output: SmoothedCrossEntropy(settings.label_smoothing) for output in outputs},
        loss_weights={f"{head}_logits": getattr(settings, f"{head}_loss_weight") for head in shape.heads},
        weighted_metrics={output: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")] for output in outputs},
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
    return optimizers[settings.optimizer](
        learning_rate=schedule, use_ema=settings.ema_momentum > 0, ema_momentum=settings.ema_momentum
    )


def _augment(images: keras.KerasTensor, seed: int) -> keras.KerasTensor:
    """Mirror and shift, in training only."""
    flipped = keras.layers.RandomFlip("horizontal", seed=seed, name="mirror")(images)
    return keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", seed=seed, name="shift")(flipped)
