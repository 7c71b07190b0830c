"""How active the units of an agent's layers are: what an optimizer that looks at the agent is told."""

import math
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["report", "unit_activity"]

COLLECTION, NAME = "activity", "units"


def report(layer: nn.Module, x: Float[Array, "... units"]) -> Float[Array, "... units"]:
    """Note what the units of a layer put out, after the activation function, and pass it on; call it in the module."""
    layer.sow(COLLECTION, NAME, x, reduce_fn=lambda _, new: new, init_fn=lambda: x)
    return x


def unit_activity(module: nn.Module, params: Any, *batch: Any) -> Any:
    """Mean magnitude of what each unit puts out, over a batch.

    Args:
        module: written for single inputs, whose layers `report`.
        params: its parameters, and any besides.
        batch: its inputs, with one axis more.

    Returns:
        A tree like `params`: for each tensor the activities `[units]` of the innermost layer that it belongs to, and
        ones for the tensors of layers that report none or have other units. No gradient passes through.
    """
    params = jax.lax.stop_gradient(params)

    def one(*inputs: Any) -> Any:
        _, noted = cast(Any, module.apply({"params": params}, *inputs, mutable=[COLLECTION]))
        return noted.get(COLLECTION, {})

    noted = jax.vmap(one)(*batch)

    def of(path: tuple[Any, ...], param: Array) -> Array:
        found, here = None, noted
        for part in path:
            if not isinstance(here, dict):
                break
            found = here.get(NAME, found)
            here = here.get(getattr(part, "key", None), {})
        units = param.shape[-1:]
        if found is None or found.shape[-1:] != units:
            return jnp.ones(units, param.dtype)
        return jnp.mean(jnp.abs(found).reshape(-1, math.prod(units)), axis=0).astype(param.dtype)

    return jax.tree.map_with_path(of, params)
