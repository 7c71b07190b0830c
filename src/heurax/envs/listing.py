"""What there is to act in, with observations and actions: for `heurax list`."""

from collections.abc import Callable, Iterator

from heurax.envs.base import Environment
from heurax.envs.brax import Brax, brax_names
from heurax.envs.catch import Catch
from heurax.envs.delayed_chain import DelayedChain
from heurax.envs.grid_world import GridWorld
from heurax.envs.gymnax import Gymnax, gymnax_names
from heurax.envs.playground import playground_names
from heurax.envs.random_mdp import RandomMDP
from heurax.envs.snake import Snake
from heurax.errors import HeuraxError

__all__ = ["ADAPTERS", "describe_adapter", "describe_own", "spaces"]

ADAPTERS: dict[str, Callable[[], list[str]]] = {
    "Brax": brax_names,
    "Gymnax": gymnax_names,
    "Playground": playground_names,
}
"""Names of the environments that each adapter knows."""


def spaces(env: Environment) -> str:
    """Observation and actions of an environment.

    >>> spaces(Catch())
    'observation 10x5, 3 actions'
    """
    shape = "x".join(map(str, env.observation_shape)) or "a number"
    return f"observation {shape}, {env.action_space}"


def describe_own() -> dict[str, str]:
    """Our own environments by name, as they are by default."""
    return {type(env).__name__: spaces(env) for env in (Catch(), DelayedChain(), GridWorld(), RandomMDP(), Snake())}


def describe_adapter(name: str) -> Iterator[tuple[str, str]]:
    """The environments of an adapter, one by one: each is constructed, but for Playground's, which may download.

    Args:
        name: a key of `ADAPTERS`.

    Yields:
        An environment's name and its spaces; for a library that is missing, the adapter's and what installs it.
    """
    try:
        known = ADAPTERS[name]()
    except HeuraxError as error:
        yield name, str(error)
        return
    for environment in known:
        if name == "Playground":
            yield environment, ""
        elif name == "Gymnax":
            yield environment, spaces(Gymnax(environment))
        else:
            yield environment, spaces(_brax(environment))


def _brax(name: str) -> Brax:
    """On springs, or the one engine that an environment has."""
    try:
        return Brax(name)
    except ValueError:
        return Brax(name, "generalized")
