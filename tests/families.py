"""Task families in small, one or more of every kind."""

import jax
import jax.numpy as jnp
import numpy as np

from heurax.rules import LearnableSGD
from heurax.tasks import (
    AutoEncoder,
    BFloat16,
    ConvNet,
    DelayedGradient,
    ESGradient,
    ImageMLP,
    LabelNoise,
    MixedImageMLP,
    MLPMixer,
    NormalizedGradient,
    OwnTask,
    Quadratic,
    RandomDirectionGradient,
    ReducedBatch,
    Reparameterized,
    ResNet,
    RNNLanguageModel,
    RuleTraining,
    SoftmaxRegression,
    TransformerLanguageModel,
    VariationalAutoEncoder,
    VisionTransformer,
)

MLP = ImageMLP(width=(8, 8), batch_size=32)
VARIED = {"width_fraction": (0.5, 1.0), "init_scale": (0.5, 2.0), "batch_size": 16}
OWN = OwnTask(
    lambda key: jax.random.normal(key, (3,)),
    lambda params, batch: jnp.mean((batch["x"] @ params - batch["y"]) ** 2),
    {"x": np.eye(3, dtype=np.float32), "y": np.arange(3, dtype=np.float32)},
    batch_size=4,
)
FAMILIES = {
    "AutoEncoder": AutoEncoder(bottleneck=4, **VARIED),
    "ConvNet": ConvNet(channels=(8, 8), activations=("relu", "tanh"), **VARIED),
    "ImageMLP": ImageMLP(batch_size=32),
    "ImageMLP sampled": ImageMLP(width=(4, 16), depth=(1, 3), activations=("relu", "tanh", "gelu"), batch_size=32),
    "MixedImageMLP": MixedImageMLP(("digits", "gratings"), width=(8, 8), batch_size=32),
    "MLPMixer": MLPMixer(patch=4, num_channels=8, hidden_size=8, num_layers=1, **VARIED),
    "OwnTask": OWN,
    "Quadratic": Quadratic(noise=0.1),
    "ResNet": ResNet(channels=(4, 8), **VARIED),
    "RNNLanguageModel lstm": RNNLanguageModel(hidden_size=8, length=8, **VARIED),
    "RNNLanguageModel gru": RNNLanguageModel(cell="gru", hidden_size=8, length=8, **VARIED),
    "RuleTraining": RuleTraining(LearnableSGD(0.02), Quadratic(), num_steps=4),
    "SoftmaxRegression": SoftmaxRegression("wine", feature_scale=(0.5, 2.0), batch_size=32),
    "TransformerLanguageModel": TransformerLanguageModel(num_channels=8, num_heads=2, num_layers=1, length=8, **VARIED),
    "VariationalAutoEncoder": VariationalAutoEncoder(latent_size=2, **VARIED),
    "VisionTransformer": VisionTransformer(patch=4, num_channels=8, num_layers=1, **VARIED),
    "BFloat16": BFloat16(MLP),
    "DelayedGradient": DelayedGradient(MLP, max_delay=3),
    "ESGradient": ESGradient(Quadratic(dimension=3), num_pairs=8),
    "LabelNoise": LabelNoise(MLP, high=0.2),
    "NormalizedGradient": NormalizedGradient(MLP),
    "RandomDirectionGradient": RandomDirectionGradient(MLP, num_directions=8),
    "ReducedBatch": ReducedBatch(MLP, low=0.2),
    "Reparameterized global": Reparameterized(MLP, "global", 0.3, 3.0),
    "Reparameterized tensor": Reparameterized(MLP, "tensor", 0.3, 3.0),
    "Reparameterized parameter": Reparameterized(MLP, "parameter", 0.3, 3.0),
    "several": Reparameterized(DelayedGradient(RandomDirectionGradient(ReducedBatch(MLP)), max_delay=2), "tensor"),
}


def check_shapes(family):
    """Traced, not compiled: gradients are like the parameters, losses float32, and the memory is a fixed point."""
    key = jax.random.key(0)
    task = jax.eval_shape(family.sample, key)
    params = jax.eval_shape(family.init, task, key)
    memory = jax.eval_shape(family.init_memory, task, params, key)
    batch = jax.eval_shape(family.batch, task, key)
    loss, gradient, after = jax.eval_shape(family.loss_and_gradient, task, params, batch, memory)
    assert (loss.shape, loss.dtype) == ((), np.float32)
    for ours, theirs in ((gradient, params), (after, memory)):
        assert jax.tree.map(lambda x: (x.shape, x.dtype), ours) == jax.tree.map(lambda x: (x.shape, x.dtype), theirs)
