"""Where the state of an optimizer lives, when the parameters are spread over a mesh of devices."""

from typing import Any

import jax
import optax
from jax.sharding import NamedSharding, PartitionSpec

__all__ = ["state_shardings"]


def state_shardings(optimizer: optax.GradientTransformation, params: Any) -> Any:
    """Shardings for an optimizer's state that follow those of the parameters.

    An array of the state belongs to the parameter whose path its own path contains (the longest one, if there are
    several). If its shape ends with the parameter's, axes of length 1 allowed, those axes are spread as the parameter's
    are; what comes before (decays, moments) is not. Everything else is replicated. So each device holds the
    accumulators of its part of the parameters and no more:

        state = jax.jit(optimizer.init, out_shardings=state_shardings(optimizer, params))(params)

    Args:
        optimizer: any optax transformation; learned optimizers, optax's own and chains of them.
        params: a tree of arrays (or of `jax.ShapeDtypeStruct`) with a `NamedSharding` each, all on one mesh.

    Returns:
        A tree of the state's structure with a `NamedSharding` for every array.

    Raises:
        ValueError: there are no parameters, or one of them has no `NamedSharding`.

    >>> mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    >>> params = jax.device_put({"w": jax.numpy.ones((4, 3))}, NamedSharding(mesh, PartitionSpec("data")))
    >>> state_shardings(optax.adam(0.1), params)[0].mu["w"].spec
    P('data', None)
    """
    owners = {}
    for path, param in jax.tree.leaves_with_path(params):
        if not isinstance(param.sharding, NamedSharding):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ValueError(f"params must have a NamedSharding each, but that of {name!r} is {param.sharding}")
        owners[tuple(path)] = param
    if not owners:
        raise ValueError("params must have at least one array, got an empty tree")
    mesh = next(iter(owners.values())).sharding.mesh

    def sharding(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        owner = _owner(path, owners)
        spec = None if owner is None else _spec(leaf.shape, owner)
        return NamedSharding(mesh, PartitionSpec() if spec is None else spec)

    return jax.tree.map_with_path(sharding, jax.eval_shape(optimizer.init, params))


def _owner(path: tuple[Any, ...], owners: dict[tuple[Any, ...], Any]) -> Any:
    """The parameter with the longest path that `path` contains; None if it contains none."""
    for length in range(len(path), -1, -1):
        for start in range(len(path) - length + 1):
            if path[start : start + length] in owners:
                return owners[path[start : start + length]]
    return None


def _spec(shape: tuple[int, ...], param: Any) -> PartitionSpec | None:
    """The parameter's spec, for an array whose last axes are its own or have length 1; None for other arrays."""
    num_before = len(shape) - param.ndim
    if num_before < 0:
        return None
    last = shape[num_before:]
    if any(size not in (1, full) for size, full in zip(last, param.shape, strict=True)):
        return None
    axes = (*param.sharding.spec, *(None,) * param.ndim)[: param.ndim]
    return PartitionSpec(
        *(None,) * num_before,
        *(axis if size == full else None for axis, size, full in zip(axes, last, param.shape, strict=True)),
    )
