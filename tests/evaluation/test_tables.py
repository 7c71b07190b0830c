"""The tables of a suite: what is written is read, and what is no such table is refused in one sentence."""

import numpy as np
import pandas as pd
import pytest

from heurax.errors import HeuraxError
from heurax.evaluation.tables import SCHEMAS, empty_table, read_table, write_table


@pytest.mark.parametrize("table", SCHEMAS)
def test_tables_come_back_as_they_were(table, tmp_path):
    kinds = {"string": "a", "int64": 3, "float64": np.inf, "bool": True}
    row = pd.DataFrame([{name: kinds[kind] for name, kind in SCHEMAS[table].items()}])
    rows = pd.concat([empty_table(table), row]).astype(SCHEMAS[table])
    write_table(tmp_path / "new", table, rows.assign(surplus=1))
    pd.testing.assert_frame_equal(read_table(tmp_path / "new", table), rows)


def test_files_that_are_no_such_table_are_refused(tmp_path):
    with pytest.raises(HeuraxError, match=r"no costs\.parquet in"):
        read_table(tmp_path, "costs")
    (tmp_path / "costs.parquet").write_text("no Parquet")
    with pytest.raises(HeuraxError, match=r"costs\.parquet is damaged"):
        read_table(tmp_path, "costs")
    pd.DataFrame({"task": ["a"]}).to_parquet(tmp_path / "costs.parquet")
    with pytest.raises(HeuraxError, match="no table of a suite's costs"):
        read_table(tmp_path, "costs")
