"""Configuration: frozen dataclasses read from YAML and the command line by jsonargparse, strictly.

A config mirrors the constructor expression it stands for. Where a field is an interface (a rule, a task, an
estimator), `class_path` names the implementation, short names included, and `init_args` its fields.
"""

import contextlib
import difflib
import importlib
import inspect
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import jsonargparse

from heurax.errors import HeuraxError

__all__ = ["config_files", "did_you_mean", "find_config", "first_difference", "read_config"]

T = TypeVar("T")


def config_directories() -> list[Path]:
    """Where configs are looked for by name: `./configs`, then those that came with heurax."""
    package = Path(__file__).resolve().parent
    candidates = [Path("configs"), package / "_configs", package.parents[1] / "configs"]
    return [path for path in candidates if path.is_dir()]


def config_files() -> dict[str, Path]:
    """Every config by its name: its path below `configs/`, without the ending."""
    found: dict[str, Path] = {}
    for directory in config_directories():
        for path in sorted(directory.rglob("*.yaml")):
            found.setdefault(path.relative_to(directory).with_suffix("").as_posix(), path)
    return found


def find_config(name: str) -> Path:
    """The file that a path or a config's name stands for.

    Raises:
        HeuraxError: there is no such file and no such config.
    """
    if Path(name).is_file():
        return Path(name)
    known = config_files()
    if name in known:
        return known[name]
    raise HeuraxError(f"there is no config file {name!r}{did_you_mean(name, list(known))}")


def read_config(cls: type[T], path: Path | None, overrides: Sequence[str] = ()) -> tuple[T, str]:
    """Read a config.

    Args:
        cls: the frozen dataclass to build.
        path: a YAML file; None starts from the defaults.
        overrides: command-line arguments such as `--outer.estimator.sigma 0.02`.

    Returns:
        The instance and the resolved config as YAML, every default spelled out.

    Raises:
        HeuraxError: an unknown field, a wrong type or a value out of range.
    """
    parser = jsonargparse.ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(cls)
    arguments = [*(["--config", str(path)] if path is not None else []), *overrides]
    stderr = io.StringIO()  # jsonargparse may print a usage line there before it raises
    try:
        with contextlib.redirect_stderr(stderr):
            namespace = parser.parse_args(arguments)
            instance = parser.instantiate(namespace)
            text = parser.dump(namespace)
            fields = {name: getattr(instance, name) for name in inspect.signature(cls).parameters}
            return cls(**fields), text
    except jsonargparse.ArgumentError as error:
        raise HeuraxError(_explain(cls, str(error))) from error
    except (ValueError, TypeError) as error:  # from a constructor: a value out of range
        raise HeuraxError(f"{_constructor(error)}{error}") from error


def first_difference(ours: Any, theirs: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first field in which two parsed configs differ, as (dotted name, ours, theirs)."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            inside = path if name == "init_args" else f"{path}.{name}".lstrip(".")
            found = first_difference(ours.get(name), theirs.get(name), inside)
            if found is not None:
                return found
        return None
    return None if ours == theirs else (path, ours, theirs)


def _explain(cls: type, message: str) -> str:
    """One sentence out of jsonargparse's nested report."""
    if "while parsing" in message or "while scanning" in message:
        return f"the config is not valid YAML: {' '.join(message.split())}"
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    keys = re.findall(r'Parser key "([^"]+)"', message)
    classes = re.findall(r"Problem with given class_path '([^']+)'", message)
    where = ".".join(keys)
    last = lines[-1] if lines else message
    if unknown := re.search(r"Option '([^']+)' is not accepted|[Uu]nrecognized arguments: --([\w.]+)", message):
        name = (unknown.group(1) or unknown.group(2)).split("=")[0]
        leaf = name.split(".")[-1]
        prefix = ".".join([where, name]).strip(".")
        return f"unknown field {prefix}{did_you_mean(leaf, _fields(classes[-1] if classes else None, cls))}"
    if wrong := re.search(r"[Ee]xpected a(?:n)? (.+?)\. Got value: (.*)$", last):
        expected = re.sub(r"<class '([\w.]+)'>", lambda m: m.group(1).split(".")[-1], wrong.group(1))
        expected = re.sub(r"typing\.Literal\[(.*?)\]", r"one of \1", expected)
        return f"{where} must be {expected}, got {wrong.group(2)}"
    if subtypes := re.search(r"Subtypes: \[(.*)\]", message):
        names = re.findall(r"'(?:[\w]+\.)*(\w+)'", subtypes.group(1))
        wanted = " or ".join("null" if name == "NoneType" else name for name in names)
        return f"{where} must be {wanted}, got {last.removeprefix('Given value: ')}"
    if missing := re.search(r"dot import path string: (\S+)", last):
        return f"{where} names an unknown class {missing.group(1)!r}{did_you_mean(missing.group(1), _known_classes())}"
    return f"{where}: {last}" if where and where not in last else last


def _constructor(error: BaseException) -> str:
    """The class whose constructor raised an error, as a prefix for its message."""
    name, trace = "", error.__traceback__
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if trace.tb_frame.f_code.co_name == "__post_init__" and owner is not None:
            name = f"{type(owner).__name__}: "
        trace = trace.tb_next
    return name


def _fields(class_path: str | None, cls: type) -> list[str]:
    """Names of the constructor arguments of a class."""
    if class_path is not None:
        module, _, name = class_path.rpartition(".")
        cls = getattr(importlib.import_module(module), name)
    return list(inspect.signature(cls).parameters)


def _known_classes() -> list[str]:
    from heurax.envs import ENVIRONMENTS
    from heurax.inner import INNER_LOOPS, NETWORKS, POLICIES, TORSOS
    from heurax.outer import ESTIMATORS, OUTER_LOOPS, TRUNCATIONS
    from heurax.rules import RULES
    from heurax.tasks import DATA_SOURCES, TASKS

    tables = (
        *(RULES, TASKS, DATA_SOURCES, ENVIRONMENTS, INNER_LOOPS, NETWORKS, TORSOS, POLICIES),
        *(ESTIMATORS, OUTER_LOOPS, TRUNCATIONS),
    )
    return [name for table in tables for name in table]


def did_you_mean(name: str, known: list[str]) -> str:
    """The end of a message about a name that is not known: the nearest that is, whatever its case, or all of them."""
    in_lower_case = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), in_lower_case, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {in_lower_case[close[0]]!r}?"
    return f"; known are {', '.join(known)}" if known else ""
