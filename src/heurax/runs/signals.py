"""A clean stop: SIGTERM, Ctrl-C and what schedulers send before they take a machine away.

Each asks the loop to end at the next opportunity. Slurm sends SIGTERM on preemption, and before the time limit what
`--signal` names: SIGUSR1 by custom, SIGUSR2 by submitit's.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["StopRequest", "stop_on_signals"]


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


class StopRequest:
    """Whether, and by which signal, a stop was asked for."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Note SIGTERM, SIGINT, SIGUSR1 or SIGUSR2 instead of dying by it; the same one again has its usual effect.

    Outside the main thread, where signals cannot be handled, the request is never made.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        del frame  # unused: where the program was does not matter
        request.signal = request.signal or signal.Signals(number)
        signal.signal(number, previous[signal.Signals(number)])

    for number in SIGNALS:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number in SIGNALS:
            signal.signal(number, previous[signal.Signals(number)])
