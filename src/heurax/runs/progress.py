"""Progress of a run: a live bar on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

__all__ = ["RunProgress"]

SECONDS_BETWEEN_LINES = 10.0


class RunProgress:
    """Shows outer steps, rates, the meta-loss and the time that remains.

    Args:
        console: where to.
        total: outer steps in the run.
        done: outer steps made before this process began.
        inner_steps: inner steps in one outer step.
    """

    def __init__(self, console: Console, total: int, done: int, inner_steps: int) -> None:
        self._console = console
        self._total, self._first, self._inner_steps = total, done, inner_steps
        self._started = self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("outer step {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rates]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=done, rates="")

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, step: int, meta_loss: float) -> None:
        """Show that `step` outer steps have been made."""
        now = time.monotonic()
        rate = (step - self._first) / max(now - self._started, 1e-9)
        rates = f"{rate:,.1f} outer/s  {rate * self._inner_steps:,.0f} inner/s  meta-loss {meta_loss:.4g}"
        self._bar.update(self._task, completed=step, rates=rates)
        if not self._console.is_terminal and (now - self._last_line > SECONDS_BETWEEN_LINES or step == self._total):
            self._last_line = now
            left = (self._total - step) / max(rate, 1e-9)
            self._console.print(
                f"outer step {step:,}/{self._total:,}  {rates}  {left:,.0f} s left", highlight=False, soft_wrap=True
            )
