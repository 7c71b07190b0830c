"""What the adapters to other libraries share: lazy imports, their laxer habits, and clear refusals."""

import contextlib
import difflib
import importlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from heurax.errors import HeuraxError

__all__ = ["as_strong", "check_name", "foreign_habits", "import_library", "like", "quiet_mujoco"]


def import_library(name: str, extra: str | None = None) -> Any:
    """Import a module that heurax does without until it is asked for.

    Args:
        name: the module.
        extra: the extra of heurax that installs it, where that is not a dependency.

    Raises:
        HeuraxError: it is not installed; says the command that installs it.
    """
    try:
        with foreign_habits(), contextlib.redirect_stdout(io.StringIO()):  # mujoco prints which engines it lacks
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        requirement = "heurax" if extra is None else f"heurax[{extra}]"
        missing = error.name or name
        what = (
            f"{missing} is not installed" if name.startswith(missing) else f"{name} needs {missing}, which is missing"
        )
        raise HeuraxError(f"{what}; pip install '{requirement}'") from error


@contextlib.contextmanager
def foreign_habits() -> Iterator[None]:
    """Trace a library's code as it was written: implicit promotion, legacy keys, deprecated calls of others."""
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.legacy_prng_key("allow"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def quiet_mujoco() -> Iterator[None]:
    """Load models without MuJoCo's remarks on them, which it prints and writes into a file in the working directory."""
    mujoco = import_library("mujoco")
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda _: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def check_name(library: str, name: str, known: Sequence[str]) -> None:
    """Refuse a name that a library does not know, with those nearest to it."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known are {', '.join(known)}"
        raise ValueError(f"{library} has no environment {name!r}; {hint}")


def as_strong(tree: Any) -> Any:
    """The same values as arrays with explicit dtypes, so that they can be carried through a scan."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x)), tree)


def like(reference: Any, tree: Any) -> Any:
    """A tree's values with the shapes and dtypes of another's."""
    return jax.tree.map(lambda r, x: jnp.broadcast_to(jnp.asarray(x, r.dtype), r.shape), reference, tree)
