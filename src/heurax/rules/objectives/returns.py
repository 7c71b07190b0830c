"""Values and advantages for objectives: multi-step returns, categorical values, moving averages to normalise by."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = [
    "MovingMoments",
    "expected_value",
    "initial_moments",
    "multistep_returns",
    "normalise",
    "signed_hyperbolic",
    "signed_log",
    "signed_parabolic",
    "two_hot",
    "update_moments",
]

HYPERBOLIC_EPSILON = 1e-3


def multistep_returns(
    reward: Float[Array, "time ..."],
    discount: Float[Array, "time ..."],
    next_value: Float[Array, "time ..."],
    next_action_value: Float[Array, "time ..."],
    next_trace: Float[Array, "time ..."],
) -> Float[Array, "time ..."]:
    """Returns that bootstrap from values and correct with action values.

        G_t = r_t + discount_t (v_{t+1} + c_{t+1} (G_{t+1} - q_{t+1})),    G_{T-1} = r_{T-1} + discount_{T-1} v_T

    With `c = lambda min(1, rho)` they are Retrace's (Munos et al. 2016, arXiv:1606.02647); with `q = v` and
    `c = lambda`, the lambda-returns.

    Args:
        reward: of each step.
        discount: of what follows each step, 0 where an episode ended.
        next_value: of the state after each step.
        next_action_value: of that state and the action taken there; that of the last step is not used.
        next_trace: `c` after each step; likewise.

    >>> one, zero = jnp.ones(2), jnp.zeros(2)
    >>> multistep_returns(one, 0.5 * one, 2 * one, zero, one).tolist()
    [3.0, 2.0]
    """
    last = jnp.zeros_like(next_trace).at[-1].set(1.0) > 0
    trace = jnp.where(last, 0.0, next_trace)

    def step(later: Array, now: tuple[Array, ...]) -> tuple[Array, Array]:
        reward, discount, value, action_value, trace = now
        returns = reward + discount * (value + trace * (later - action_value))
        return returns, returns

    inputs = (reward, discount, next_value, next_action_value, trace)
    return jax.lax.scan(step, jnp.zeros_like(reward[0]), inputs, reverse=True)[1]


def signed_log(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`sign(x) log(1 + |x|)`."""
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def signed_hyperbolic(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`sign(x) (sqrt(|x| + 1) - 1) + 0.001 x`, which makes large values small (Pohlen et al. 2018, arXiv:1805.11593).

    >>> round(float(signed_parabolic(signed_hyperbolic(jnp.float32(-8.0)))), 4)
    -8.0
    """
    size = jnp.abs(x)
    return jnp.sign(x) * (size / (jnp.sqrt(size + 1) + 1)) + HYPERBOLIC_EPSILON * x


def signed_parabolic(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The inverse of `signed_hyperbolic`, in a form that does not cancel in float32."""
    size = jnp.abs(x)
    root = jnp.sqrt(1 + 4 * HYPERBOLIC_EPSILON * (HYPERBOLIC_EPSILON + 1 + size))
    above_one = 2 * size / (root + 1 + 2 * HYPERBOLIC_EPSILON)
    return jnp.sign(x) * above_one * (above_one + 2)


def expected_value(logits: Float[Array, "... bins"], max_abs_value: float) -> Float[Array, "..."]:
    """The value that logits over equidistant bins in `[-max_abs_value, max_abs_value]` stand for.

    The bins are in the scale of `signed_hyperbolic`.
    """
    bins = jnp.linspace(-max_abs_value, max_abs_value, logits.shape[-1], dtype=logits.dtype)
    return signed_parabolic(jax.nn.softmax(logits) @ bins)


def two_hot(value: Float[Array, "..."], num_bins: int, max_abs_value: float) -> Float[Array, "... bins"]:
    """Probabilities of the two nearest bins, whose mean is `signed_hyperbolic(value)`; the inverse of `expected_value`.

    >>> [round(float(x), 4) for x in two_hot(signed_parabolic(jnp.float32(0.25)), 3, 1.0)]
    [0.0, 0.75, 0.25]
    """
    width = 2 * max_abs_value / (num_bins - 1)
    scaled = jnp.clip(signed_hyperbolic(value), -max_abs_value, max_abs_value)
    position = scaled / width  # from the middle: more exact where values are small
    bins = jnp.arange(num_bins, dtype=value.dtype) - (num_bins - 1) / 2
    shape = (*value.shape, num_bins)
    distance = jnp.broadcast_to(position[..., None], shape) - jnp.broadcast_to(bins, shape)
    return jax.nn.relu(1 - jnp.abs(distance))


class MovingMoments(NamedTuple):
    """Exponential moving averages, which start at 0.

    Attributes:
        first: of the numbers.
        second: of their squares.
        decay_product: weight that the start still has.
    """

    first: Float[Array, ""]
    second: Float[Array, ""]
    decay_product: Float[Array, ""]


def initial_moments() -> MovingMoments:
    """Before the first update."""
    return MovingMoments(*(jnp.full([], x, jnp.float32) for x in (0.0, 0.0, 1.0)))


def update_moments(moments: MovingMoments, values: Float[Array, "..."], decay: float) -> MovingMoments:
    """Take the means over an array into the averages."""
    return MovingMoments(
        decay * moments.first + (1 - decay) * jnp.mean(values),
        decay * moments.second + (1 - decay) * jnp.mean(values**2),
        decay * moments.decay_product,
    )


def normalise(
    values: Float[Array, "..."], moments: MovingMoments, epsilon: float, *, centre: bool = True
) -> Float[Array, "..."]:
    """Divide by the moving standard deviation, after subtraction of the moving mean where `centre`.

    The averages are those without the weight of their start; there must have been an update.
    """
    mean, second = (x / (1 - moments.decay_product) for x in (moments.first, moments.second))
    # Two epsilons, inside and outside of the root: the derivative is finite where the variance is 0.
    deviation = jnp.sqrt(jnp.maximum(second - mean**2, 0.0) + 1e-12) + epsilon
    return (values - mean if centre else values) / deviation
