"""Fitness shaping: what stands in for the losses of antithetic pairs when they weigh perturbations."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["Shaping", "shape_losses"]

Shaping = Literal["none", "sign", "centred_rank", "z_score", "per_pair_winner"]
"""How losses become weights; see `shape_losses`."""


def shape_losses(losses: Float[Array, "..."], shaping: Shaping) -> Float[Array, "..."]:
    """Replace the losses of all lifetimes by numbers that outliers cannot dominate.

    With `n = 2 tasks` lifetimes and the losses `L`:

    - `none`: `L`;
    - `sign`: `sign(L - median(L))`, over all lifetimes;
    - `centred_rank`: `rank(L) / (n - 1) - 1/2`, in [-1/2, 1/2]; equal losses share their mean rank;
    - `z_score`: `(L - mean(L)) / (std(L) + 1e-8)`;
    - `per_pair_winner`: 0 for the better member of each pair, 1 for the worse, 1/2 for both if they are equal. The only
      one that compares a lifetime with none but its twin, for tasks whose losses have different scales.

    All but `none` take a loss that is not finite for the worst finite one.

    Sources: centred ranks, Salimans et al. 2017, arXiv:1703.03864; z-scores, Sarkar et al. 2025, arXiv:2511.16652;
    pair winners, Jackson et al. 2024, arXiv:2402.05828.

    Args:
        losses: of all lifetimes, on all devices; for `per_pair_winner` `[tasks, 2]`, the members of each pair.
        shaping: one of the above.

    Returns:
        Numbers in the order of the losses: lower is better.

    >>> shape_losses(jnp.array([[1.0, 3.0], [100.0, 2.0]]), "per_pair_winner").tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if shaping == "none":
        return losses
    finite = jnp.isfinite(losses)
    worst = jnp.max(losses, where=finite, initial=-jnp.inf)
    losses = jnp.where(finite, losses, jnp.where(jnp.isfinite(worst), worst, 0))
    if shaping == "sign":
        return jnp.sign(losses - jnp.median(losses))
    if shaping == "z_score":
        return (losses - jnp.mean(losses)) / (jnp.std(losses) + 1e-8)
    if shaping == "per_pair_winner":
        return (1 + jnp.sign(losses - losses[:, ::-1])) / 2
    flat = jnp.sort(losses.ravel())
    first = jnp.searchsorted(flat, losses.ravel(), side="left")
    last = jnp.searchsorted(flat, losses.ravel(), side="right") - 1
    ranks = (first + last).astype(losses.dtype) / 2
    return (ranks / (losses.size - 1) - 0.5).reshape(losses.shape)
