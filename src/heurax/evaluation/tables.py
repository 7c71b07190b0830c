"""The tables that a suite leaves behind: tidy Parquet files of fixed columns.

`SCHEMAS` is their contract, for whoever reads them: a file that lacks a column, or has one of another type, is refused.
All losses are in the task's own unit, and finite: a loss that is not, or is above twice the initial one, counts as
twice the initial one.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from heurax.errors import HeuraxError
from heurax.files import disk_errors

__all__ = ["COSTS", "CURVES", "PROFILES", "RUNS", "SCHEMAS", "SCORES", "empty_table", "read_table", "write_table"]

RUNS = "runs"
CURVES = "curves"
SCORES = "scores"
COSTS = "costs"
PROFILES = "profiles"

IDENTITY = {"task": "string", "num_steps": "int64", "optimizer": "string"}
"""What all tables but `costs` begin with: a fixed task, the horizon in updates, the optimizer.

`learned` is the rule that is evaluated, `adamw` and the like are baselines at the best of their learning rates, and
`nadamw_search` and the like baselines at the best trial of a random search.
"""

SCHEMAS: dict[str, dict[str, str]] = {
    RUNS: {
        **IDENTITY,
        "stage": "string",  # tuning: one of many settings; judging: the best of them, on seeds that none was tuned on;
        # yardstick: Adam at a constant rate over the longest training, by which speed-ups are measured
        "setting": "int64",  # number of the setting among those that were tried: along the grid, or by trial
        "learning_rate": "float64",  # NaN where the rule has none
        "hyper_parameters": "string",  # the others as JSON, {} in a grid
        "seed": "int64",  # tuning and judging have different ones
        "initial_train_loss": "float64",
        "final_train_loss": "float64",  # over the evaluation batch of each split
        "final_validation_loss": "float64",
        "final_test_loss": "float64",
        "smoothed_train_loss": "float64",  # exponential average of the batches' losses, decay 0.95
        "area_under_log_curve": "float64",  # mean natural logarithm of the batches' losses
        "diverged": "bool",  # whether it ended where losses are capped
        "chosen": "bool",  # whether judging is done at this setting
    },
    CURVES: {
        **IDENTITY,
        "stage": "string",
        "setting": "int64",
        "learning_rate": "float64",
        "seed": "int64",
        "step": "int64",  # updates made by the end of the point's stretch
        "loss": "float64",  # mean of the batches' losses over the stretch
        "smoothed": "float64",  # exponential average at its end, decay 0.95
    },
    SCORES: {
        **IDENTITY,
        "seed": "int64",  # of judging
        "log_ratio": "float64",  # log(reference's final training loss / this one's): above 0 is better than it
        "log_ratio_validation": "float64",
        "speed_up": "float64",  # over Adam at its best constant rates (VeLOdrome); NaN without a yardstick
        "area_under_log_curve": "float64",
        "target": "float64",  # smoothed training loss that the tuned reference reaches in three quarters of the steps
        "steps_to_target": "float64",  # inf where it is not reached
    },
    PROFILES: {
        "num_steps": "int64",
        "optimizer": "string",
        "tau": "float64",  # time to the target over that of the fastest optimizer; 1 to 4
        "fraction": "float64",  # of tasks within it
    },
    COSTS: {
        "task": "string",
        "optimizer": "string",
        "num_parameters": "int64",
        "flops_per_step": "float64",  # of one update with its loss and gradient, as XLA counts them
        "seconds_per_step": "float64",  # of one lifetime, `lanes` of them side by side on all devices
        "bytes_per_lifetime": "float64",  # that the compiled program needs, over its lanes
        "state_bytes_per_parameter": "float64",  # of the optimizer
        "compile_seconds": "float64",
        "lanes": "int64",
    },
}
"""Columns and their types, by table. `TABLE.parquet` in an evaluation's directory."""


def empty_table(table: str) -> pd.DataFrame:
    """A table without rows."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in SCHEMAS[table].items()})


def write_table(directory: Path, table: str, rows: pd.DataFrame) -> Path:
    """Write a table in one piece.

    Args:
        directory: of the evaluation, or of a part of it.
        table: one of `SCHEMAS`.
        rows: its columns, in any order; surplus ones are left out.

    Returns:
        The file.

    Raises:
        HeuraxError: it cannot be written.
    """
    path = directory / f"{table}.parquet"
    temporary = directory / f".{table}.parquet.new"
    with disk_errors(path):
        directory.mkdir(parents=True, exist_ok=True)
        rows.reindex(columns=list(SCHEMAS[table])).astype(SCHEMAS[table]).to_parquet(temporary, index=False)
        temporary.replace(path)
    return path


def read_table(directory: Path, table: str) -> pd.DataFrame:
    """Read a table.

    Raises:
        HeuraxError: it is missing, damaged, or has other columns.
    """
    path = directory / f"{table}.parquet"
    if not path.is_file():
        raise HeuraxError(f"there is no {path.name} in {directory}")
    try:
        rows: Any = pd.read_parquet(path)
        return rows[list(SCHEMAS[table])].astype(SCHEMAS[table])
    except KeyError as error:
        raise HeuraxError(f"{path} is no table of a suite's {table}: {error.args[0]}") from error
    except (OSError, ValueError, TypeError) as error:  # pyarrow's errors are among these
        raise HeuraxError(f"{path} is damaged, or no Parquet file: {' '.join(str(error).split())}") from error
