"""Reading result directories: whatever is missing or damaged becomes one sentence."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from heurax.errors import HeuraxError

__all__ = ["flat_fields", "read_json", "read_json_lines", "read_table", "read_yaml", "require_directory"]


def require_directory(path: Path, kind: str, file: str) -> None:
    """Refuse a path that is not a directory with a certain file in it.

    Args:
        path: what was asked for.
        kind: what it should be, such as `run`.
        file: that makes it one.

    Raises:
        HeuraxError: it is not.
    """
    if not path.exists():
        raise HeuraxError(f"there is no {kind} at {path}: no such directory")
    if not path.is_dir():
        raise HeuraxError(f"there is no {kind} at {path}: it is a file; give the directory")
    if not (path / file).is_file():
        raise HeuraxError(f"there is no {kind} at {path}: it has no {file}")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        HeuraxError: the file cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(value, dict):
        raise HeuraxError(f"{path} is damaged: it holds no JSON object")
    return value


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """JSON objects, one a line; of the last line, a killed process may have left a part, which is passed over.

    Raises:
        HeuraxError: the file cannot be read, or a line before the last is no JSON object.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                break
            raise HeuraxError(f"{path} is damaged: line {number} is no JSON") from error
        if not isinstance(record, dict):
            raise HeuraxError(f"{path} is damaged: line {number} is no JSON object")
        records.append(record)
    return records


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping.

    Raises:
        HeuraxError: the file cannot be read, or holds something else.
    """
    try:
        value = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _damaged(path, error) from error
    if not isinstance(value, dict):
        raise HeuraxError(f"{path} is damaged: it holds no YAML mapping")
    return value


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of CSV or Parquet, by the file's ending.

    Args:
        path: the file.
        columns: that it must have.

    Raises:
        HeuraxError: the file cannot be read, or lacks a column.
    """
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' and Arrow's errors are ValueErrors
        raise _damaged(path, error) from error
    missing = [name for name in columns if name not in frame]
    if missing:
        raise HeuraxError(f"{path} is damaged: it has no column {missing[0]!r}")
    return frame


def flat_fields(config: Any, path: str = "") -> dict[str, Any]:
    """A parsed config by dotted names, as on the command line: a class is the value of its field.

    >>> flat_fields({"outer": {"class_path": "heurax.outer.Descent", "init_args": {"num_steps": 10}}, "seed": 0})
    {'outer': 'Descent', 'outer.num_steps': 10, 'seed': 0}
    """
    if not isinstance(config, dict) or not config:
        return {path: config}
    fields: dict[str, Any] = {}
    if isinstance(config.get("class_path"), str):
        fields[path] = config["class_path"].rpartition(".")[2]
        config = config.get("init_args") or {}
    for name, value in config.items():
        fields.update(flat_fields(value, f"{path}.{name}".lstrip(".")))
    return fields


def _damaged(path: Path, error: Exception) -> HeuraxError:
    reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
    return HeuraxError(f"{path} cannot be read: {reason}")
