"""What there is, for `heurax list`: everything that a config can name, a line each or in full."""

import inspect
from pathlib import Path

from heurax.config import config_files, did_you_mean
from heurax.envs import ENVIRONMENTS
from heurax.envs.listing import ADAPTERS, describe_adapter, describe_own
from heurax.errors import HeuraxError
from heurax.evaluation import suites
from heurax.inner import INNER_LOOPS, NETWORKS, POLICIES, TORSOS
from heurax.outer import ESTIMATORS, OUTER_LOOPS, strategies
from heurax.rules import RULES
from heurax.runs import TRACKING
from heurax.sweeps import DISTRIBUTIONS, LAUNCHERS, SEARCHES
from heurax.tasks import DATA_SOURCES, DATASETS, NAMED_TASKS, TASKS, TEXTS, named_task, task_cost

__all__ = ["print_listing"]


def print_listing(what: str | None = None) -> None:
    """Print one line about everything there is, or more about one thing.

    Args:
        what: a group (rules, tasks, environments, ...), the name of a class or of a fixed task; None for all groups.

    Raises:
        HeuraxError: nothing is called so; the nearest names are shown.
    """
    classes: dict[str, dict[str, type]] = {
        "rules": dict(RULES),
        "tasks": dict(TASKS),
        "sources": dict(DATA_SOURCES),
        "environments": dict(ENVIRONMENTS),
        "inner": dict(INNER_LOOPS),
        "agents": {**NETWORKS, **TORSOS, **POLICIES},
        "estimators": dict(ESTIMATORS),
        "outer": dict(OUTER_LOOPS),
        "tracking": dict(TRACKING),
        "searches": dict(SEARCHES),
        "distributions": dict(DISTRIBUTIONS),
        "launchers": dict(LAUNCHERS),
    }
    groups: dict[str, dict[str, str]] = {
        group: {name: _first_line(inspect.getdoc(cls)) for name, cls in table.items()}
        for group, table in classes.items()
    }
    groups["data"] = {name: _first_line(inspect.getdoc(load)) for name, load in {**DATASETS, **TEXTS}.items()}
    groups["strategies"] = {name: _first_line(inspect.getdoc(cls)) for name, cls in strategies().items()}
    groups["suites"] = {name: _comment(path) for name, path in suites().items()}
    groups["configs"] = {name: _comment(path) for name, path in config_files().items()}
    everything = {name: cls for table in classes.values() for name, cls in table.items()}
    if what in everything:
        print(f"{what}\n\n{inspect.getdoc(everything[what])}")
        if what in ADAPTERS:
            _print_adapter(what)
        return
    if what in suites():
        print(suites()[what].read_text(), end="")
        return
    if what in NAMED_TASKS:
        print(f"{_describe_task(what)}\n\n{NAMED_TASKS[what]}")
        return
    if what is not None and what not in groups:
        near = did_you_mean(what, [*groups, *everything, *NAMED_TASKS, *suites()])
        raise HeuraxError(f"nothing is called {what!r}{near}; `heurax list` names everything")
    width = max(len(name) for table in groups.values() for name in table)
    for group, table in groups.items():
        if what == group or (what is None and group != "strategies"):
            print(group)
            for name, summary in table.items():
                print(f"  {name:{width}}  {summary}")
    if what == "environments":
        _print_spaces()
    if what == "tasks":
        print("\nfixed tasks: parameters, and floating-point operations per step, counted from shapes")
        for name in NAMED_TASKS:
            print(_describe_task(name), flush=True)


def _describe_task(name: str) -> str:
    cost = task_cost(named_task(name))
    return f"  {name:26}  {cost.num_parameters:>11,}  {cost.num_operations:>9.2g}"


def _print_spaces() -> None:
    """Every environment with its observation and its actions, as soon as each is known."""
    print("\nby default")
    for name, spaces in describe_own().items():
        print(f"  {name:24}  {spaces}")
    for adapter in ADAPTERS:
        _print_adapter(adapter)


def _print_adapter(adapter: str) -> None:
    print(f"\nin {adapter}")
    for name, spaces in describe_adapter(adapter):
        print(f"  {name:24}  {spaces}".rstrip(), flush=True)


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0]


def _comment(path: Path) -> str:
    """The comment that a config begins with."""
    first = path.read_text().partition("\n")[0]
    return first.removeprefix("#").strip()
