"""The per-parameter network of VeLO and Celo: 30-4-4-3, and the bank from which its weights are mixed."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.optimizers import adafactor, features, networks, tensors

__all__ = ["PER_PARAMETER_SIZES", "init_bank", "mix_bank", "network_step", "unstack_networks", "with_step_size"]

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


def with_step_size(network: Any, step_size: Float[Array, "*rows"]) -> dict[str, Array]:
    """A network without its third output, which nobody reads, for `network_step`: step sizes enter the last layer.

    Args:
        network: weights of one network or of one per row.
        step_size: what multiplies the direction, for each.
    """
    exponents = jnp.full_like(step_size, EXP_MULT)
    factors = jnp.stack([-STEP_MULT * step_size, exponents], axis=-1)
    last = {"w2": network["w2"][..., :2] * factors[..., None, :], "b2": network["b2"][..., :2] * factors}
    return {**network, **last}


def network_step(
    network: Any,
    param: Float[Array, "*shape"],
    gradient: Float[Array, "*shape"],
    accumulators: adafactor.Accumulators,
    decays: adafactor.Decays,
) -> tuple[Float[Array, "*shape"], adafactor.Accumulators]:
    """One tensor's update and new accumulators.

    `delta = -step_size * 0.001 * d * exp(0.001 * m)`, of which the network, that of `with_step_size`, gives all but the
    exponential.
    """
    dtype = tensors.state_dtype(param)
    network = tensors.cast(network, dtype)
    g, p = features.clip_gradient(gradient.astype(dtype)), param.astype(dtype)
    accumulators = adafactor.update_accumulators(accumulators, g, decays)
    layers = [(network[f"w{layer}"], network[f"b{layer}"]) for layer in range(3)]
    inputs = adafactor.channel_inputs(g, p, accumulators)
    step, exponent = networks.normalised_mlp(adafactor.tensor_channels, inputs, layers, epsilon=1e-5)
    return (step * jnp.exp(exponent)).astype(param.dtype), accumulators
