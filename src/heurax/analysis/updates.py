"""Update rules in cross-section: what one parameter gets for its gradient, given the gradients that it had before."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure

from heurax.analysis.style import INK, legend, new_figure, ordered_colors, title

__all__ = ["MakeOptimizer", "update_figure", "update_table"]

MakeOptimizer = Callable[[int], optax.GradientTransformation]
"""A number of steps to an optax transformation: `Artifact.optimizer`, or `lambda num_steps: optax.adam(1e-3)`."""

MOMENTA = (-1.0, -0.5, 0.0, 0.5, 1.0)


def update_table(
    make: MakeOptimizer,
    gradients: Sequence[float] = tuple(np.linspace(-3.0, 3.0, 61)),
    momenta: Sequence[float] = MOMENTA,
    scale: float = 0.01,
    num_history: int = 20,
    num_steps: int = 200,
    size: int = 8,
    num_contexts: int = 16,
    seed: int = 0,
) -> pd.DataFrame:
    """Probe an optimizer: the update of one parameter over its gradient, at several momenta.

    The parameter, 0, is one of a matrix whose others are standard normal over the square root of `size`, and have
    independent normal gradients of standard deviation `scale`. So does the probed one, around the momentum, for
    `num_history` steps of loss 1 in which nothing moves; then it gets the gradient, and its update is recorded. Any
    optimizer can be probed so, also one that normalises over a tensor, keeps factored moments or a hidden state.
    Source: the update functions of Maheswaranathan et al. 2021, arXiv:2011.02159, there of linearised states.

    Args:
        make: the optimizer, from a number of steps: `artifact.optimizer`, or `lambda num_steps: optax.adam(1e-3)`.
        gradients: multiples of `scale`.
        momenta: means of the gradients before, multiples of `scale`.
        scale: standard deviation of gradients; > 0.
        num_history: steps before the probe; >= 1.
        num_steps: of the training run that the optimizer believes to be in; >= 1.
        size: rows and columns of the matrix; >= 1.
        num_contexts: draws of all that is random, over which updates are averaged; >= 1.
        seed: of these draws.

    Returns:
        A tidy table: `momentum` and `gradient`, in multiples of `scale`, and `update`.

    Raises:
        ValueError: a value out of its range, or an optimizer that has no update for such a matrix, which is called `w`.

    >>> table = update_table(lambda num_steps: optax.sgd(0.5), [1.0], [0.0], scale=0.5, num_contexts=1)
    >>> table["update"].item()
    -0.25
    """
    for name, value in {"num_history": num_history, "num_steps": num_steps, "size": size}.items():
        if value < 1:
            raise ValueError(f"{name} must be >= 1, got {value}")
    if num_contexts < 1:
        raise ValueError(f"num_contexts must be >= 1, got {num_contexts}")
    if not scale > 0:
        raise ValueError(f"scale must be > 0, got {scale}")
    optimizer = optax.with_extra_args_support(make(num_steps))
    loss = jnp.ones([], jnp.float32)

    def probe(momentum: Array, gradient: Float[Array, " gradients"], key: Key[Array, ""]) -> Array:
        key_params, key_history, key_last, key_steps = jax.random.split(key, 4)
        params = {"w": jax.random.normal(key_params, (size, size), jnp.float32).at[0, 0].set(0.0) / size**0.5}
        history = scale * jax.random.normal(key_history, (num_history, size, size), jnp.float32)
        history = history.at[:, 0, 0].add(scale * momentum)

        def step(state: optax.OptState, inputs: tuple[Array, Array]) -> tuple[optax.OptState, None]:
            before, key = inputs
            _, state = optimizer.update({"w": before}, state, params, value=loss, key=key)
            return state, None

        keys = jax.random.split(key_steps, num_history)
        state, _ = jax.lax.scan(step, optimizer.init(params), (history, keys))
        last = scale * jax.random.normal(key_last, (size, size), jnp.float32)

        def update(value: Array) -> Array:
            grads = {"w": last.at[0, 0].set(scale * value)}
            updates, _ = optimizer.update(grads, state, params, value=loss, key=key_last)
            return jax.tree.leaves(updates)[0][0, 0]

        return jax.vmap(update)(gradient)

    g, m = (jnp.asarray(values, jnp.float32) for values in (gradients, momenta))
    keys = jax.random.split(jax.random.key(seed), num_contexts)
    over_contexts = jax.vmap(probe, in_axes=(None, None, 0))
    updates = jax.jit(jax.vmap(lambda momentum: over_contexts(momentum, g, keys).mean(axis=0)))(m)
    return pd.DataFrame(
        {
            "momentum": np.repeat(np.asarray(momenta, float), len(gradients)),
            "gradient": np.tile(np.asarray(gradients, float), len(momenta)),
            "update": np.asarray(updates).ravel(),
        }
    )


def update_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Updates over gradients, a line for each momentum.

    Args:
        tables: of `update_table`, by the name of the optimizer; a panel each, on a scale of its own.

    Raises:
        ValueError: there are none.
    """
    if not tables:
        raise ValueError("tables must hold at least one table, got none")
    figure, panels = new_figure(columns=len(tables))
    for axes, (name, table) in zip(panels[0], tables.items(), strict=True):
        axes.axhline(0.0, color=INK, lw=0.8)
        axes.axvline(0.0, color=INK, lw=0.8)
        momenta = list(dict.fromkeys(table["momentum"]))
        for momentum, color in zip(momenta, ordered_colors(momenta), strict=True):
            line = table[table["momentum"] == momentum]
            axes.plot(line["gradient"], line["update"], color=color, label=f"{momentum:+g}" if momentum else "0")
        axes.set(xlabel="gradient, in standard deviations", ylabel="update")
        if len(tables) > 1:
            title(axes, name)
    legend(panels[0, 0], "momentum of the gradients before, in standard deviations")
    return figure
