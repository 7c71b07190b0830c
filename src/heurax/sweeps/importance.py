"""Which of the searched fields matter."""

import math
import warnings
from typing import Any

from heurax.errors import HeuraxError
from heurax.sweeps.optuna_search import import_optuna, plain
from heurax.sweeps.table import SweepTable

__all__ = ["importance"]

FEWEST_POINTS = 4


def importance(table: SweepTable, seed: int = 0) -> dict[str, float] | None:
    """The share of every searched field in the variance of the metric, by functional ANOVA over a random forest.

    Source: Hutter et al. 2014, as `optuna.importance.FanovaImportanceEvaluator`. Points count by the mean over their
    seeds; those with a trial that did not finish, or whose metric is not finite, are left out.

    Args:
        table: of a sweep.
        seed: of the forest.

    Returns:
        By field, adding up to 1; None where fewer than four points can be compared, where nothing varies, or where
        Optuna is not installed.
    """
    try:
        optuna = import_optuna()
    except HeuraxError:
        return None
    points: dict[int, list] = {}
    for trial in table.trials:
        points.setdefault(trial.point, []).append(trial)
    rows = []
    for trials in points.values():
        metrics = [math.nan if t.metric is None or t.status != "finished" else t.metric for t in trials]
        mean = math.fsum(metrics) / len(metrics)
        if math.isfinite(mean):
            rows.append(({name: trials[0].values.get(name) for name in table.fields}, mean))
    if len(rows) < FEWEST_POINTS or len({metric for _, metric in rows}) < 2:
        return None
    spaces = {name: _distribution(optuna, [values[name] for values, _ in rows]) for name in table.fields}
    varied = {name: space for name, space in spaces.items() if not space.single()}
    if not varied:
        return None
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of categories that are no scalars
        study = optuna.create_study(direction=table.metric["goal"])
        for values, metric in rows:
            params = {name: plain(values[name]) for name in varied}
            study.add_trial(optuna.create_trial(params=params, distributions=varied, value=metric))
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(found.get(name, 0.0)) for name in table.fields}


def _distribution(optuna: Any, values: list[Any]) -> Any:
    """What values that were tried look as if drawn from: by logarithm, where they differ by a factor of ten or more."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        return optuna.distributions.CategoricalDistribution(list(dict.fromkeys(map(plain, values))))
    low, high = min(numbers), max(numbers)
    return optuna.distributions.FloatDistribution(low, high, log=low > 0 and high >= 10 * low)
