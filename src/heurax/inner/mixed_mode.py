"""Mixed-mode differentiation: gradients whose own gradients come from one forward-over-reverse pass."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

__all__ = ["keep_only_gradients", "mixed_mode_value_and_grad"]

GRADIENT = "inner_gradient"
"""Names what `keep_only_gradients` keeps."""


def mixed_mode_value_and_grad(
    loss_fn: Callable[[Any, Any], Float[Array, ""]], params: Any, inputs: Any
) -> tuple[Float[Array, ""], Any]:
    """`jax.value_and_grad(loss_fn)(params, inputs)`, cheap to differentiate again in reverse mode.

    Reverse mode over reverse mode keeps what the inner backward pass computed. Here, the backward pass for the
    cotangents `c` of the loss and `v` of the gradient is, with `e` the floating-point part of `inputs`,

        d params = c dL/d params + d^2 L / d params^2 v,    d e = c dL/d e + d^2 L / (d e d params) v,

    which, second derivatives being symmetric, is one forward pass along `v`, in params alone, over the gradient in
    params and e. It keeps `params` and `inputs`, and nothing of the activations.

    Source: MixFlow-MG, Kemaev et al. 2025, arXiv:2505.00793.

    Args:
        loss_fn: (params, inputs) to a scalar, twice differentiable in params. Whatever a derivative is to reach must be
            one of them, not closed over.
        params: a tree of floating-point arrays.
        inputs: a tree of arrays of any dtype.

    Returns:
        The loss and its gradient with respect to `params`.
    """
    leaves, treedef = jax.tree.flatten(inputs)
    is_float = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]

    def join(floats: list[Array], others: list[Array]) -> Any:
        f, o = iter(floats), iter(others)
        return treedef.unflatten([next(f) if float_leaf else next(o) for float_leaf in is_float])

    @jax.custom_vjp
    def value_and_grad(params: Any, floats: list[Array], others: list[Array]) -> tuple[Array, Any]:
        return jax.value_and_grad(loss_fn)(params, join(floats, others))

    def forward(params: Any, floats: list[Array], others: list[Array]) -> tuple[Any, Any]:
        return value_and_grad(params, floats, others), (params, floats, others)

    def backward(residuals: Any, cotangents: Any) -> tuple[Any, Any, None]:
        params, floats, others = residuals
        c, v = cotangents

        def both_gradients(params: Any) -> Any:
            return jax.grad(lambda params, floats: loss_fn(params, join(floats, others)), argnums=(0, 1))(
                params, floats
            )

        first, second = jax.jvp(both_gradients, (params,), (v,))
        d_params, d_floats = jax.tree.map(lambda a, b: c.astype(a.dtype) * a + b, first, second)
        return d_params, d_floats, None

    value_and_grad.defvjp(forward, backward)
    floats = [leaf for leaf, float_leaf in zip(leaves, is_float, strict=True) if float_leaf]
    others = [leaf for leaf, float_leaf in zip(leaves, is_float, strict=True) if not float_leaf]
    return jax.tree.map(lambda x: checkpoint_name(x, GRADIENT), value_and_grad(params, floats, others))


def keep_only_gradients(step_fn: Callable[..., Any]) -> Callable[..., Any]:
    """The same step, of which reverse mode keeps the inputs and the inner gradients, and computes the rest again.

    The rest is cheap: the batch, and what the optimizer makes of the gradient. The gradient itself, from
    `mixed_mode_value_and_grad`, is not computed twice.

    Source: the block rematerialisation of MixFlow-MG, with blocks of one step; see above.
    """
    policy = jax.checkpoint_policies.save_only_these_names(GRADIENT)
    return jax.checkpoint(step_fn, policy=policy, prevent_cse=False)
