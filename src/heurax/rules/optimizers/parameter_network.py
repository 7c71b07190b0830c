"""The per-parameter network of VeLO and Celo: 30-4-4-3, and the bank from which its weights are mixed."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.optimizers import adafactor, features, networks, tensors

__all__ = ["PER_PARAMETER_SIZES", "init_bank", "mix_bank", "network_step", "unstack_networks"]

PER_PARAMETER_SIZES = (adafactor.NUM_CHANNELS, 4, 4, 3)
STEP_MULT = 0.001
EXP_MULT = 0.001


def init_bank(key: Key[Array, ""], num_networks: int) -> dict[str, Array]:
    """Weights of several networks, stacked along the first axis."""
    return jax.vmap(lambda k: networks.init_mlp(k, PER_PARAMETER_SIZES))(jax.random.split(key, num_networks))


def mix_bank(bank: Any, controls: Float[Array, "rows bank"], scale: float) -> Any:
    """Weights of one network per row, `scale * mean_k(controls_k bank_k)`: the mean over the bank, not the sum."""
    scale = scale / controls.shape[1]
    return jax.tree.map(lambda w: scale * jnp.tensordot(controls, w, axes=(1, 0)), bank)


def unstack_networks(networks: Any) -> list[Any]:
    """The networks that are stacked along the first axis, one by one."""
    num_networks = len(jax.tree.leaves(networks)[0])
    return [jax.tree.map(lambda w, i=i: w[i], networks) for i in range(num_networks)]


def network_step(
    network: Any,
    param: Float[Array, "*shape"],
    gradient: Float[Array, "*shape"],
    accumulators: adafactor.Accumulators,
    decays: adafactor.Decays,
    *,
    scale: Float[Array, ""] | float,
    param_scale: bool,
) -> tuple[Float[Array, "*shape"], adafactor.Accumulators]:
    """One tensor's update and new accumulators.

    `delta = -scale * 0.001 * d * exp(0.001 * m)`, times `sqrt(mean(p^2) + 1e-9)` if `param_scale`; direction `d` and
    magnitude `m` are the network's first two outputs, the third is not used.
    """
    dtype = tensors.state_dtype(param)
    network = tensors.cast(network, dtype)
    g, p = features.clip_gradient(gradient.astype(dtype)), param.astype(dtype)
    accumulators = adafactor.update_accumulators(accumulators, g, decays)
    scale = jnp.asarray(scale, dtype) * -STEP_MULT
    if param_scale:
        scale = scale * jnp.sqrt(jnp.mean(jnp.square(p)) + 1e-9)
    outputs = jnp.stack([scale, jnp.asarray(EXP_MULT, dtype)])  # both multiply the last layer instead of its outputs
    layers = [
        (network["w0"], network["b0"]),
        (network["w1"], network["b1"]),
        (network["w2"][:, :2] * outputs[None], network["b2"][:2] * outputs),
    ]
    inputs = adafactor.channel_inputs(g, p, accumulators)
    direction, magnitude = networks.normalised_mlp(adafactor.tensor_channels, inputs, layers, epsilon=1e-5)
    delta = direction * jnp.exp(magnitude)
    return delta.astype(param.dtype), accumulators
