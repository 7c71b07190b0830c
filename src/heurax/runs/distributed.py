"""Several processes, one run: starting under `jax.distributed`, agreeing, and ending together.

One process per host. All of them run the same program on a mesh of all devices of all hosts, and all of them save and
restore checkpoints; the first one alone writes logs, artifacts and summaries.
"""

import ctypes
import os
import signal

import jax
import numpy as np
from jax.experimental import multihost_utils

from heurax.errors import HeuraxError, LostProcessError

__all__ = ["any_process", "initialize", "is_first_process", "lost_process", "wait_for_all"]

HEARTBEAT_TIMEOUT_SECONDS = 20
"""A process that has not been heard of for so long counts as dead, and ends the others."""

LOST_PROCESS = "another process of this run has ended"
START_AGAIN = "start all processes again to resume"

VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def initialize() -> bool:
    """Join the other processes of this run, if the environment says that there are any.

    Reads `JAX_COORDINATOR_ADDRESS` (host:port of the first process), `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID`, or, in
    a Slurm job of several tasks, what Slurm sets. Must come before JAX's backend starts.

    Returns:
        Whether this process is one of several.

    Raises:
        HeuraxError: the variables are incomplete or wrong, or the other processes do not come.
    """
    given = [name for name in VARIABLES if name in os.environ]
    slurm = int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ
    if not given and not slurm:
        return False
    if given and len(given) < len(VARIABLES):
        missing = ", ".join(name for name in VARIABLES if name not in os.environ)
        raise HeuraxError(f"{', '.join(given)} is set, so {missing} must be set as well")
    try:
        processes = (
            {
                "coordinator_address": os.environ["JAX_COORDINATOR_ADDRESS"],
                "num_processes": int(os.environ["JAX_NUM_PROCESSES"]),
                "process_id": int(os.environ["JAX_PROCESS_ID"]),
            }
            if given
            else {}  # JAX reads Slurm's variables itself
        )
        jax.distributed.initialize(**processes, heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_SECONDS)
    except (ValueError, RuntimeError) as error:
        raise HeuraxError(f"cannot join the other processes: {str(error).splitlines()[0]}") from error
    _end_in_words_when_aborted()
    return True


def is_first_process() -> bool:
    """Whether this process writes logs, artifacts and summaries."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Whether any process of the run says so; every process must ask."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def wait_for_all(name: str) -> None:
    """Go on when every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def lost_process(latest_step: int | None) -> LostProcessError:
    """What to raise when a computation fails because another process of the run has ended.

    Args:
        latest_step: of the latest complete checkpoint; None if there is none.
    """
    kept = "no checkpoint is complete yet" if latest_step is None else f"checkpoint {latest_step} is complete"
    return LostProcessError(f"{LOST_PROCESS}; {kept}; {START_AGAIN}")


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _on_abort(_: int) -> None:
    os.write(2, f"heurax: error: {LOST_PROCESS}; {START_AGAIN} from the latest complete checkpoint\n".encode())
    os._exit(2)


def _end_in_words_when_aborted() -> None:
    """Say so and exit with code 2 when C++ aborts this process.

    That is how JAX's coordination service, and Gloo where a collective is cut short, end the processes that are left.
    They do it in threads of their own, so there is no exception to catch, and Python's handlers of signals, which run
    in the main thread later, come too late: `abort` does not return.
    """
    ctypes.CDLL(None).signal(signal.SIGABRT, _on_abort)
