"""Published arrays as meta-parameters of ours, checked one by one: by key, by shape and by dtype."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from heurax.errors import HeuraxError
from heurax.rules import Rule

__all__ = ["Layout", "Published", "convert"]


@dataclass(frozen=True)
class Published:
    """A published array, by what it is to one of ours.

    Attributes:
        target: path of our array that it belongs to, and whose shape it has but for the following.
        axis: axis of the target along which several published arrays are joined, in the order of the layout; None
            if it is the whole target.
        size: its length along `axis`; None if it lacks that axis.
        has_row: whether it has a first axis of size 1, where ours has none.
        discarded: whether it has no effect and no place in our rule.
    """

    target: str
    axis: int | None = None
    size: int | None = None
    has_row: bool = False
    discarded: bool = False

    def shape(self, target_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that it must have."""
        shape = list(target_shape)
        if self.axis is not None:
            del shape[self.axis]
            if self.size is not None:
                shape.insert(self.axis % len(target_shape), self.size)
        return (1, *shape) if self.has_row else tuple(shape)

    def part(self, array: np.ndarray) -> np.ndarray:
        """What it contributes to the target, with all of the target's axes."""
        array = array[0] if self.has_row else array
        return np.expand_dims(array, self.axis) if self.axis is not None and self.size is None else array


Layout = dict[str, Published]
"""Published arrays by name."""


def convert(source: Any, arrays: Mapping[str, np.ndarray], layout: Layout, rule: Rule) -> Any:
    """A rule's `theta` from published arrays.

    Args:
        source: where they come from, as messages name it.
        arrays: the arrays by name.
        layout: what each is to `theta`; every array of `theta` is the target of at least one.
        rule: the rule, whose `init` says which shapes and dtypes are wanted.

    Raises:
        HeuraxError: an array is missing, surplus, or of another shape or dtype than the rule's.
    """
    name_of_rule = type(rule).__name__
    target = jax.eval_shape(rule.init, jax.random.key(0))
    leaves = {jax.tree_util.keystr(p, simple=True, separator="/"): x for p, x in jax.tree.leaves_with_path(target)}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in leaves}
    axes = {entry.target: entry.axis for entry in layout.values() if entry.axis is not None}
    for name in sorted(arrays.keys() - layout.keys()):
        raise HeuraxError(f"{source} has an array {name!r} that {name_of_rule} does not")
    for name, entry in layout.items():
        if name not in arrays:
            raise HeuraxError(f"{source} lacks the array {name!r} of {name_of_rule}")
        found, wanted = arrays[name], leaves[entry.target]
        shape = entry.shape(wanted.shape)
        if found.shape != shape:
            raise HeuraxError(f"{source}: {name} has shape {list(found.shape)}, wanted {list(shape)}")
        if found.dtype != wanted.dtype:
            raise HeuraxError(f"{source}: {name} has dtype {found.dtype}, wanted {wanted.dtype}")
        if not entry.discarded:
            parts[entry.target].append(entry.part(found))
    joined = [jnp.asarray(np.concatenate(x, axes[name]) if name in axes else x[0]) for name, x in parts.items()]
    return jax.tree.unflatten(jax.tree.structure(target), joined)
