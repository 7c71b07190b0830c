"""Checkpoints of the whole outer state: our one door to orbax."""

import contextlib
import errno
import logging
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from heurax.errors import HeuraxError, LostProcessError
from heurax.runs.distributed import lost_process

__all__ = ["Checkpoints"]

ITEM, FEED = "state", "feed"


class Checkpoints:
    """The checkpoints of one run, numbered by outer step; written asynchronously, each in one piece.

    Args:
        directory: where they lie.
        keep: how many of the latest are kept.
        read_only: leave alone what another process may be writing.
    """

    def __init__(self, directory: Path, keep: int, *, read_only: bool = False) -> None:
        self._directory = directory.resolve()
        self._copy = jax.jit(lambda state: jax.tree.map(jnp.copy, state))
        logging.getLogger("absl").setLevel(logging.CRITICAL)  # what orbax logs as an error it raises as well
        options = ocp.CheckpointManagerOptions(
            read_only=read_only,
            save_decision_policy=ocp.checkpoint_managers.FixedIntervalPolicy(1),  # the loop decides
            preservation_policy=ocp.checkpoint_managers.LatestN(keep),
            enable_async_checkpointing=True,
            cleanup_tmp_directories=not read_only,
        )
        try:
            self._manager = ocp.CheckpointManager(
                self._directory,
                options=options,
                item_handlers={ITEM: ocp.StandardCheckpointHandler(), FEED: ocp.JsonCheckpointHandler()},
            )
        except OSError as error:
            raise HeuraxError(f"cannot write {directory}: {error.strerror or error}") from error

    @property
    def latest_step(self) -> int | None:
        """The outer step of the latest complete checkpoint."""
        return self._manager.latest_step()

    @property
    def all_steps(self) -> list[int]:
        """The outer steps of all complete checkpoints."""
        return list(self._manager.all_steps())

    def save(self, step: int, state: Any, feed_place: dict[str, Any] | None = None) -> None:
        """Begin to write a checkpoint. The state is copied first, so it may be donated afterwards.

        Args:
            step: its number.
            state: of the outer loop.
            feed_place: where the run's streams are, as JSON; None or empty if it has none.
        """
        copy = self._copy(state)
        self._wait()
        try:
            items: dict[str, Any] = {ITEM: ocp.args.StandardSave(jax.tree.map(_one_replica, copy))}
            if feed_place:
                items[FEED] = ocp.args.JsonSave(feed_place)
            self._manager.save(step, args=ocp.args.Composite(**items))
        except Exception as error:  # orbax passes on whatever its storage raises
            raise self._save_error(step, error) from error

    def restore(self, step: int, target: Any) -> Any:
        """Read a checkpoint.

        Args:
            step: one that is there.
            target: shapes, dtypes and shardings that the state must have.

        Raises:
            HeuraxError: the checkpoint is damaged, or belongs to another state.
        """
        self._wait()
        path = self._directory / str(step)
        others = [s for s in self.all_steps if s != step]
        hint = f"delete it to resume from step {max(others)}" if others else "delete it to start again"
        try:
            metadata = self._manager.item_metadata(step)[ITEM]
            found = _flat(getattr(metadata, "tree", metadata))
        except Exception as error:  # a damaged checkpoint surfaces as almost any exception
            raise HeuraxError(f"checkpoint {path} is damaged ({_first_line(error)}); {hint}") from error
        mismatch = _mismatch(found, _flat(target))
        if mismatch:
            raise HeuraxError(f"checkpoint {path} does not belong to this run: {mismatch}")
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**{ITEM: ocp.args.StandardRestore(target)}))[
                ITEM
            ]
        except Exception as error:  # as above
            raise HeuraxError(f"checkpoint {path} is damaged ({_first_line(error)}); {hint}") from error

    def feed_place(self, step: int) -> dict[str, Any] | None:
        """Where the run's streams were at a checkpoint; None if it had none."""
        if not (self._directory / str(step) / FEED).exists():
            return None
        return self._manager.restore(step, args=ocp.args.Composite(**{FEED: ocp.args.JsonRestore()}))[FEED]

    def close(self) -> None:
        """Wait for the checkpoint that is being written, if any."""
        try:
            self._manager.close()  # which waits first
        except Exception as error:  # whatever its storage raises, in whichever of its threads
            with contextlib.suppress(Exception):  # gets on from where the first stopped, or meets the same failure
                self._manager.close()
            raise self._save_error(None, error) from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or not issubclass(kind, LostProcessError):  # a lost process would be waited for in vain
            self.close()

    def _wait(self) -> None:
        try:
            self._manager.wait_until_finished()
        except Exception as error:  # the background thread's exception, whatever it is
            raise self._save_error(None, error) from error

    def _save_error(self, step: int | None, error: BaseException) -> HeuraxError:
        if jax.process_count() > 1 and any(isinstance(e, jax.errors.JaxRuntimeError) for e in _chain(error)):
            return lost_process(self.latest_step)
        what = "a checkpoint" if step is None else f"checkpoint {step}"
        full = any(isinstance(e, OSError) and e.errno == errno.ENOSPC for e in _chain(error))
        reason = "no space left on device" if full or "No space left" in str(error) else _first_line(error)
        latest = self.latest_step
        kept = "none is complete yet" if latest is None else f"the latest complete one is step {latest}"
        return HeuraxError(f"cannot save {what} to {self._directory}: {reason}; {kept}")


def _one_replica(leaf: jax.Array) -> jax.Array:
    """A replicated array as it lies on one device; orbax would cut it up over them all and compile that by shape."""
    return leaf.addressable_data(0) if leaf.is_fully_replicated and jax.process_count() == 1 else leaf


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def _flat(tree: Any) -> dict[str, Any]:
    """Leaves by their path."""
    return {jax.tree_util.keystr(k, simple=True, separator="/"): v for k, v in jax.tree.leaves_with_path(tree)}


def _mismatch(found: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    """The first leaf in which a checkpoint differs from its target; orbax would cast dtypes silently."""
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found:
            return f"it lacks {name}"
        if name not in wanted:
            return f"it has {name}, which the run has not"
        disk, want = found[name], wanted[name]
        if jnp.issubdtype(want.dtype, jax.dtypes.prng_key):  # stored as key data
            want = jax.eval_shape(jax.random.key_data, want)
        if tuple(disk.shape or ()) != tuple(want.shape):
            return f"{name} has shape {list(disk.shape or ())}, wanted {list(want.shape)}"
        if str(disk.dtype) != str(want.dtype):
            return f"{name} has dtype {disk.dtype}, wanted {want.dtype}"
    return None
