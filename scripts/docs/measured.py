"""What was measured of an algorithm, as Markdown, from the JSON files in `results/`. No figure is typed by hand."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["measured"]

RESULTS = Path(__file__).resolve().parents[2] / "results"
NOTHING = "Nothing has been measured for this page yet: no file in `results/` is about it."


def measured(name: str) -> str:
    """Everything in `results/` about a rule, an estimator or an inner loop; a sentence that says so if nothing is.

    Args:
        name: of its class.
    """
    tables = (
        _cost,
        _coordinate_check,
        _drift,
        _dpo_against_ppo,
        _disco,
        _disco_small,
        _lpg,
        _temporal,
        _curriculum,
        _rl_optimizers,
        _estimator,
        _ppo,
        _ppo_speed,
        _augmentation,
    )
    return "\n\n".join(text for table in tables for text in table(name)) or NOTHING


def _read(name: str) -> Any:
    return json.loads((RESULTS / name / f"{name}.json").read_text())


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(header), ["---"] * len(list(header)), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _interval(x: dict[str, float], sign: str = "") -> str:
    digits = 3 if abs(x["mean"]) < 10 else 1
    return f"{x['mean']:{sign}.{digits}f} [{x['low']:{sign}.{digits}f}, {x['high']:{sign}.{digits}f}]"


def _origin(text: str, folder: str) -> str:
    return f"{text} Bracketed: 95% bootstrap intervals. From `results/{folder}/`."


def _cost(name: str) -> Iterator[str]:
    """One update against Adam's, from `benchmarks.optimizer_update`."""
    models = {"mlp": "MLP, 952,410 parameters", "transformer": "transformer, 1,063,680 parameters"}
    rows = [
        (
            models[row["tree"]],
            f"{row['ratio_to_adam']:.1f}",
            f"{row['compile_seconds']:.1f} s",
            f"{row['temporary_bytes_per_parameter']:.0f}",
            f"{row['state_bytes_per_parameter']:.1f}",
        )
        for row in _read("optimizer_update")
        if row["rule"] == name
    ]
    if rows:
        header = ("one update of", "times Adam", "compilation", "temporary bytes per parameter", "state bytes")
        yield (
            "**Cost** on two CPU cores, in multiples of the time that `optax.adam` takes in the same run "
            "(`python -m benchmarks.optimizer_update`; `results/optimizer_update/`).\n\n" + _table(header, rows)
        )


def _coordinate_check(name: str) -> Iterator[str]:
    if name != "MuP":
        return
    record = _read("mup_coordinate_check")
    rows = [
        (rule, f"{arms['plain']['spread']:.1f}", f"{arms['under_mup']['spread']:.1f}")
        for rule, arms in record["rules"].items()
    ]
    yield (
        f"**Coordinate check**: how much more hidden pre-activations change in the first {record['num_updates']} "
        f"updates at the width where they change most than at the one where they change least, over widths "
        f"{', '.join(map(str, record['widths']))}; 1 is perfect (`{record['command']}`; "
        f"`results/mup_coordinate_check/`).\n\n" + _table(("rule", "plain", "under `MuP`"), rows)
    )


def _drift(name: str) -> Iterator[str]:
    """Final returns of the drifts, from `scripts.reproduce.lpo_small`."""
    arm = {"LPO": "LPO, learned", "NoDrift": "no drift", "PPOClip": "PPO clip", "DPO": "DPO"}.get(name)
    if arm is None:
        return
    rows = []
    for task, record in _read("lpo_small")["tasks"].items():
        for other, returns in record["final_return"].items():
            difference = record["learned_minus"].get(other)
            if other == "LPO, learned" or (difference and arm in (other, "LPO, learned")):
                compared = (
                    ("", "")
                    if difference is None
                    else (
                        _interval(difference, "+"),
                        f"{difference['seeds_better']} of {record['seeds']}",
                    )
                )
                rows.append((task, other, _interval(returns), *compared))
    header = ("task", "drift", "its final return", "`zoo:lpo-small` minus it, paired", "`zoo:lpo-small` better on")
    yield (
        _origin(
            "**Against the drift that was discovered on small grid worlds**, `zoo:lpo-small` "
            "(`bash scripts/reproduce/lpo_small.sh`).",
            "lpo_small",
        )
        + "\n\n"
        + _table(header, rows)
    )


def _dpo_against_ppo(name: str) -> Iterator[str]:
    if name not in ("DPO", "PPOClip"):
        return
    record = _read("dpo_vs_ppo")
    rows = [
        (
            task,
            f"{result['env_steps']:,}",
            _interval(result["untrained_return"]),
            _interval(result["PPO_final_return"]),
            _interval(result["DPO_final_return"]),
            _interval(result["scaled_area_difference"], "+"),
        )
        for task, result in record["tasks"].items()
    ]
    header = (
        "task",
        "environment steps",
        "untrained",
        "`PPOClip`: final return",
        "`DPO`: final return",
        "difference in area",
    )
    overall = _interval(record["interquartile_mean_difference"], "+")
    yield (
        _origin(
            f"**DPO against PPO** in one code base, {record['num_seeds']} seeds "
            f"(`bash scripts/reproduce/dpo_vs_ppo.sh`). Area under the learning curve, scaled so that 0 is the "
            f"untrained agent and 1 the best final return of the two; DPO minus PPO, interquartile mean over all: "
            f"{overall}.",
            "dpo_vs_ppo",
        )
        + "\n\n"
        + _table(header, rows)
    )


def _disco(name: str) -> Iterator[str]:
    arm = {"Disco": "Disco103", "ActorCritic": "tuned actor-critic"}.get(name)
    if arm is None:
        return
    record = _read("disco_catch")
    rows = [
        (
            task,
            _interval(arms[arm]["final_return"]),
            _interval(arms[arm]["mean_return_over_training"]),
            ", ".join(map(str, arms[arm].get(f"update_that_passes_{record['pass_line']}", ()))) or "-",
        )
        for task, arms in record["tasks"].items()
    ]
    header = ("task", "final return", "mean return over training", f"updates to pass {record['pass_line']}, by seed")
    title = "The released Disco103 weights" if name == "Disco" else "As tuned baseline of Disco103"
    yield (
        _origin(f"**{title}** (`bash scripts/reproduce/disco_catch.sh`).", "disco_catch")
        + "\n\n"
        + _table(header, rows)
    )


def _disco_small(name: str) -> Iterator[str]:
    """A small rule that was meta-trained here, from `scripts.reproduce.disco_small`."""
    if name != "Disco":
        return
    record = _read("disco_small")
    training = record["training"]
    text = (
        f"**A small rule**, meta-trained from scratch in {training['outer_steps']:,} meta-steps on small grid worlds "
        f"(`bash scripts/reproduce/disco_small.sh`), on Catch, which it has not seen: mean return over the last tenth "
        f"of training, {record['seeds']} seeds; gain over its random initialisation {_interval(record['gain'], '+')}."
    )
    rows = [(arm, _interval(score)) for arm, score in record["final_return"].items()]
    yield _origin(text, "disco_small") + "\n\n" + _table(("agents learn by", "final return"), rows)


def _lpg(name: str) -> Iterator[str]:
    """Objectives that were meta-trained here, against a tuned actor-critic."""
    if name != "LPG":
        return
    record = _read("lpg_small")
    rows = [(arm, _interval(score)) for arm, score in record["final_return"].items()]
    training = record["training"]
    text = (
        f"**Meta-trained by meta-gradients** in {training['outer_steps']:,} meta-steps on small grid worlds "
        f"(`bash scripts/reproduce/lpg_small.sh`): the final return of agents on {record['seeds']} x "
        f"{record['levels_per_seed']} held-out levels; its share of tuned A2C's is {_interval(record['ratio'])}."
    )
    yield _origin(text, "lpg_small") + "\n\n" + _table(("agents learn by", "final return"), rows)


def _temporal(name: str) -> Iterator[str]:
    """Temporally aware LPG against plain LPG, from `scripts.reproduce.ta_lpg`."""
    if name != "TemporallyAwareLPG":
        return
    record = _read("ta_lpg")
    rules = list(record["final_return"])
    horizons = [*map(str, record["horizons"]), str(record["unseen_horizon"])]
    rows = [
        (
            horizon,
            *(_interval(record["final_return"][rule][horizon]) for rule in rules),
            _interval(record["gains"][f"horizon {horizon}"], "+"),
        )
        for horizon in horizons
    ]
    dependence = record["dependence_on_progress"]
    text = (
        f"**Against plain LPG**, both by evolution from one LPG that meta-gradients had found "
        f"(`bash scripts/reproduce/ta_lpg.sh`): the final return of agents on {record['seeds']} x "
        f"{record['levels_per_seed']} held-out levels, by updates in a lifetime, of which {horizons[-1]} are more than "
        f"in meta-training; and the difference of the first two, paired. When it is told that nine tenths of training "
        f"are over instead of one, all else equal, the size of its targets changes by "
        f"{_interval(dependence[rules[0]])} of their mean where evolution found it, by "
        f"{_interval(dependence[rules[2]])} where meta-gradients did."
    )
    header = ("updates", *rules, "difference")
    yield _origin(text, "ta_lpg") + "\n\n" + _table(header, rows)


def _curriculum(name: str) -> Iterator[str]:
    """Levels by regret against levels drawn evenly."""
    if name != "RegretCurriculum":
        return
    record = _read("groove_small")
    rows = [
        (
            levels,
            *(_interval(score) for score in result["final_return"].values()),
            _interval(result["regret_minus_even"], "+"),
        )
        for levels, result in record["results"].items()
    ]
    header = ("held-out levels", *next(iter(record["results"].values()))["final_return"], "difference")
    pairs = len(record["pairs"])
    text = (
        f"**Against even levels**, {pairs} pairs of runs of `LPG` with equal meta-steps "
        f"(`bash scripts/reproduce/groove_small.sh`): the final return of agents on {record['seeds']} x "
        f"{record['levels_per_seed']} levels. Intervals are over levels, not over runs."
    )
    yield _origin(text, "groove_small") + "\n\n" + _table(header, rows)


def _rl_optimizers(name: str) -> Iterator[str]:
    """Meta-trained over agents' lifetimes, against a tuned Adam, from `scripts.reproduce.rl_optimizers`."""
    if name not in ("Open", "Optim4RL"):
        return
    record = _read("rl_optimizers")
    training = record["training"][name]
    rows = [
        (
            task,
            *(_interval(score) for score in found["final_return"].values()),
            _interval(found["meta-trained minus Adam, tuned"], "+"),
        )
        for task, found in record["results"][name].items()
    ]
    first = next(iter(record["results"][name].values()))
    minutes = (training["run_seconds"] + training["compile_seconds"]) / 60
    text = (
        f"**Meta-trained** in {training['outer_steps']:,} outer steps on Catch, {minutes:.0f} minutes "
        f"(`bash scripts/reproduce/rl_optimizers.sh`): the final return of agents on it and on grid worlds, which it "
        f"has not seen, {record['seeds']} x {record['lifetimes_per_seed']} lifetimes. Adam has the best of seven "
        f"learning rates on each."
    )
    header = ("task", *first["final_return"], "difference from Adam")
    yield _origin(text, "rl_optimizers") + "\n\n" + _table(header, rows)


def _estimator(name: str) -> Iterator[str]:
    """Bias, noise and cost, from `benchmarks.estimators`."""
    problems = _read("estimators")["problems"]
    titles = {
        "learned_optimizer": "MLP optimizer on noisy quadratics",
        "influence_balancing": "influence balancing, one meta-parameter",
    }
    rows = [
        (
            titles[problem],
            f"{row['bias']:+.2f}",
            f"{row['cosine']:.2f}",
            f"{row['cost']:.2g}",
            f"{row['milliseconds']:.1f} ms",
            f"{row['memory_bytes'] / 1e6:.2f} MB",
            f"{math.exp(sum(math.log(curve[-1]) for curve in row['curves']) / len(row['curves'])):.2g}",
        )
        for problem, found in problems.items()
        for row in [found.get(name)]
        if row
    ]
    if rows:
        header = ("problem", "bias", "cosine", "noise x inner steps", "time", "memory", "meta-loss reached")
        yield (
            "**On two problems**, beside all other estimators in [the guide](../guides/outer-loop.md), which says what "
            "the columns are (`python -m benchmarks.estimators`; `results/estimators/`).\n\n" + _table(header, rows)
        )


def _ppo(name: str) -> Iterator[str]:
    if name != "PPO":
        return
    record = _read("ppo")
    rows = [
        (
            task,
            f"{result['env_steps']:,}",
            _interval(result["heurax"]["final_return"]),
            _interval(result["single file"]["final_return"]),
        )
        for task, result in record["tasks"].items()
    ]
    header = ("task", "environment steps", "heurax", "single-file PPO")
    yield (
        _origin(
            f"**Final returns** beside a PPO in one file, both with the published settings "
            f"(`{record['origin']['command']}`).",
            "ppo",
        )
        + "\n\n"
        + _table(header, rows)
    )


def _ppo_speed(name: str) -> Iterator[str]:
    if name != "PPO":
        return
    rows = [
        (task, who, f"{speed['steps_per_second']:,.0f}", f"{speed['compile_seconds']:.1f} s")
        for task, implementations in _read("ppo_speed").items()
        for who, speed in implementations.items()
    ]
    yield (
        "**Speed** (`python -m benchmarks.ppo`; `results/ppo_speed/`).\n\n"
        + _table(("task", "implementation", "environment steps per second", "compilation"), rows)
    )


def _augmentation(name: str) -> Iterator[str]:
    if name != "NNAdam":
        return
    record = _read("augmentation")
    rows = []
    for scale, result in record["scales"].items():
        d = result["with_minus_without"]
        rows.append(
            (
                f"times {scale}",
                f"{result['median_with']:.3f}",
                f"{result['median_without']:.3f}",
                f"{d['median']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]",
                f"{result['seeds_lower_with']} of {record['seeds']}",
            )
        )
    header = ("parameters' scale", "with", "without", "difference of medians", "lower with")
    yield (
        _origin(
            f"**With and without re-parameterisation** in meta-training (`{record['origin']['command']}`): medians, "
            f"over {record['seeds']} seeds, of the final loss on a held-out task in other units ({record['score']}).",
            "augmentation",
        )
        + "\n\n"
        + _table(header, rows)
    )
