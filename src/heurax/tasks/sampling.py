"""Families of random static shape: what cannot vary inside one compiled program is drawn outside of it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from heurax.tasks.augmentation import (
    BFloat16,
    DelayedGradient,
    ESGradient,
    NormalizedGradient,
    RandomDirectionGradient,
    ReducedBatch,
    Reparameterized,
)
from heurax.tasks.auto_encoder import AutoEncoder
from heurax.tasks.base import TaskFamily
from heurax.tasks.conv_net import ConvNet
from heurax.tasks.image_mlp import ImageMLP
from heurax.tasks.mlp_mixer import MLPMixer
from heurax.tasks.quadratic import Quadratic
from heurax.tasks.res_net import ResNet
from heurax.tasks.rnn_language_model import RNNLanguageModel
from heurax.tasks.rule_training import RuleTraining
from heurax.tasks.softmax_regression import SoftmaxRegression
from heurax.tasks.transformer_language_model import TransformerLanguageModel
from heurax.tasks.variational_auto_encoder import VariationalAutoEncoder
from heurax.tasks.vision_transformer import VisionTransformer

__all__ = ["SAMPLERS", "augment", "sample_family"]

IMAGES = ("digits", "gratings", "letters", "small_photos")
ACTIVATIONS = ("relu", "tanh", "gelu", "silu")


def sample_family(
    generator: np.random.Generator, families: Sequence[str] | None = None, augmentations: bool = True
) -> TaskFamily:
    """Draw a family: its kind, its static shape, its data set, its augmentations.

    On the host, for a chunk of outer steps: every shape is a program of its own to compile. Sizes are log-uniform and
    small: up to 64 units or channels, batches of 16 to 128.

    Args:
        generator: of NumPy.
        families: names in `SAMPLERS`, drawn uniformly; None draws from all.
        augmentations: whether to `augment` it.

    Raises:
        ValueError: a name is not known, or there is none.

    >>> type(sample_family(np.random.default_rng(0), ["ConvNet"], augmentations=False)).__name__
    'ConvNet'
    """
    names = list(SAMPLERS) if families is None else list(families)
    if not names or any(name not in SAMPLERS for name in names):
        raise ValueError(f"families must be some of {', '.join(SAMPLERS)}, got {names}")
    family = SAMPLERS[names[generator.integers(len(names))]](generator)
    return augment(generator, family) if augmentations else family


def augment(generator: np.random.Generator, family: TaskFamily) -> TaskFamily:
    """Draw augmentations of a family, independently, as often as VeLO's meta-training has them.

    Re-parameterisation 5 times in 7 (global 2, tensor 2, parameter 1), with scales in (0.1, 10), (0.01, 100) or (0.001,
    1000); batch reduction and bfloat16 1 in 5 each; gradients from evolution strategies 0.08, or else random directions
    0.08; normalised and delayed gradients 0.05 each.

    Source: Metz et al. 2022 (VeLO), arXiv:2211.09760. Departure: a gradient is not estimated in two ways at once.
    """
    if family.batch_size is not None and generator.random() < 0.2:
        family = ReducedBatch(family)
    if generator.random() < 0.2:
        family = BFloat16(family)
    if generator.random() < 0.08:
        family = ESGradient(family, num_pairs=_size(generator, 1, 16))
    elif generator.random() < 0.08:
        show = "sign" if generator.random() < 0.5 else "value"
        family = RandomDirectionGradient(family, _size(generator, 1, 1024), show)
    if generator.random() < 0.05:
        family = NormalizedGradient(family)
    if generator.random() < 0.05:
        family = DelayedGradient(family)
    levels: list[Any] = [None, None, "global", "global", "tensor", "tensor", "parameter"]
    level = levels[generator.integers(len(levels))]
    if level is not None:
        high = 10.0 ** int(generator.integers(1, 4))
        family = Reparameterized(family, level, 1 / high, high)
    return family


def _size(generator: np.random.Generator, low: int, high: int) -> int:
    """Log-uniform, both included."""
    return int(min(np.exp(generator.uniform(np.log(low), np.log(high + 1))), high))


def _variation(generator: np.random.Generator) -> dict[str, Any]:
    """What all families of networks share."""
    return {
        "activations": (str(generator.choice(ACTIVATIONS)),),
        "init_scale": (0.5, 2.0),
        "batch_size": int(2 ** generator.integers(4, 8)),
    }


def _images(generator: np.random.Generator) -> dict[str, Any]:
    return {"dataset": str(generator.choice(IMAGES)), **_variation(generator)}


def _channels(generator: np.random.Generator) -> tuple[int, ...]:
    return tuple(_size(generator, 4, 32) for _ in range(generator.integers(1, 4)))


def _perceptron(generator: np.random.Generator) -> ImageMLP:
    width, depth = _size(generator, 8, 64), int(generator.integers(1, 4))
    return ImageMLP(
        dataset=str(generator.choice(IMAGES)),
        width=(width, width),
        depth=(depth, depth),
        activations=(str(generator.choice(ACTIVATIONS)),),
        batch_size=int(2 ** generator.integers(4, 8)),
    )


def _regression(generator: np.random.Generator) -> SoftmaxRegression:
    dataset = str(generator.choice([*IMAGES, "breast_cancer", "iris", "wine"]))
    return SoftmaxRegression(dataset, (10.0 ** -generator.uniform(0, 2), 1.0), int(2 ** generator.integers(4, 8)))


def _hidden_sizes(generator: np.random.Generator) -> tuple[int, ...]:
    return tuple(_size(generator, 16, 64) for _ in range(generator.integers(1, 3)))


def _heads(generator: np.random.Generator) -> dict[str, int]:
    num_heads = int(generator.choice([1, 2, 4]))
    return {"num_heads": num_heads, "num_channels": num_heads * _size(generator, 4, 16)}


SAMPLERS: dict[str, Callable[[np.random.Generator], TaskFamily]] = {
    "AutoEncoder": lambda g: AutoEncoder(hidden_sizes=_hidden_sizes(g), bottleneck=_size(g, 2, 16), **_images(g)),
    "ConvNet": lambda g: ConvNet(channels=_channels(g), **_images(g)),
    "ImageMLP": _perceptron,
    "MLPMixer": lambda g: MLPMixer(
        patch=int(g.choice([2, 4])),
        num_channels=_size(g, 8, 32),
        hidden_size=_size(g, 8, 32),
        num_layers=int(g.integers(1, 3)),
        **_images(g),
    ),
    "Quadratic": lambda g: Quadratic(_size(g, 2, 100), 10.0 ** g.uniform(0, 4), noise=10.0 ** -g.uniform(0, 3)),
    "ResNet": lambda g: ResNet(channels=_channels(g), num_blocks=int(g.integers(1, 3)), **_images(g)),
    "RNNLanguageModel": lambda g: RNNLanguageModel(
        cell="lstm" if g.random() < 0.5 else "gru",
        hidden_size=_size(g, 8, 64),
        num_layers=int(g.integers(1, 3)),
        length=_size(g, 8, 64),
        **_variation(g),
    ),
    "RuleTraining": lambda g: RuleTraining(
        family=Quadratic(_size(g, 2, 20)), num_steps=_size(g, 5, 20), batch_size=_size(g, 2, 8)
    ),
    "SoftmaxRegression": _regression,
    "TransformerLanguageModel": lambda g: TransformerLanguageModel(
        num_layers=int(g.integers(1, 3)), length=_size(g, 8, 64), **_heads(g), **_variation(g)
    ),
    "VariationalAutoEncoder": lambda g: VariationalAutoEncoder(
        hidden_sizes=_hidden_sizes(g), latent_size=_size(g, 2, 16), **_images(g)
    ),
    "VisionTransformer": lambda g: VisionTransformer(
        patch=int(g.choice([2, 4])), num_layers=int(g.integers(1, 3)), **_heads(g), **_images(g)
    ),
}
"""How to draw a family of each kind."""
