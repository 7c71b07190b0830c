"""A page per algorithm: a text written by hand, its equations, a config, and what was measured of it.

A new rule or estimator that is in its registry has a page at once; a text in `docs/algorithms/NAME.md` begins it.
"""

import dataclasses
import inspect
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import yaml
from scripts.docs.docstrings import as_markdown
from scripts.docs.measured import measured
from scripts.docs.public import public_names

from heurax.config import config_files
from heurax.inner import PPO, ActorTraining
from heurax.outer import ESTIMATORS, OUTER_LOOPS
from heurax.rules import DRIFTS, OBJECTIVES, RULES, LearnedOptimizer, Rule

__all__ = ["algorithm_pages", "algorithms_nav"]

FOLDER = "algorithms"
TEXTS = Path(__file__).resolve().parents[2] / "docs" / FOLDER


def groups() -> dict[str, dict[str, type]]:
    """All algorithms by kind."""
    optimizers = {name: rule for name, rule in RULES.items() if issubclass(rule, LearnedOptimizer)}
    known = {**optimizers, **DRIFTS, **OBJECTIVES}
    return {
        "Learned optimizers": {name: optimizers[name] for name in sorted(optimizers, key=str.lower)},
        "Drifts": dict(DRIFTS),
        "Objectives": dict(OBJECTIVES),
        "Other rules": {name: rule for name, rule in RULES.items() if name not in known},
        "Agents": {loop.__name__: loop for loop in (PPO, ActorTraining)},
        "Estimators": dict(ESTIMATORS),
        "Outer loops": dict(OUTER_LOOPS),
    }


def algorithm_pages() -> dict[str, str]:
    """Markdown of every algorithm's page and of their index, by its path below `docs/`."""
    pages = {f"{FOLDER}/index.md": _index()}
    for table in groups().values():
        for name, algorithm in table.items():
            pages[f"{FOLDER}/{name}.md"] = _page(name, algorithm)
    return pages


def algorithms_nav() -> list:
    """The algorithms' part of the navigation."""
    return [
        f"{FOLDER}/index.md",
        *({title: [f"{FOLDER}/{name}.md" for name in table]} for title, table in groups().items()),
    ]


def _index() -> str:
    lines = [
        "# Algorithms\n",
        "What heurax has, with its equations, its source, a config and what was measured of it here. Figures on these",
        "pages are read from `results/` when the site is built.\n",
    ]
    for title, table in groups().items():
        rows = [
            f"| [`{name}`]({name}.md) | {_prose(algorithm).partition(chr(10))[0]} |"
            for name, algorithm in table.items()
        ]
        lines += [f"## {title}\n", "| name | what it is |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _page(name: str, algorithm: type) -> str:
    written = TEXTS / f"{name}.md"
    path = next(public.path for public in public_names() if public.value is algorithm)
    package = path.rpartition(".")[0]
    parts = [
        f"---\ntitle: {name}\n---\n\n# {name}",
        as_markdown(written.read_text().strip(), _links(name)) if written.is_file() else "",
        f"## How it works\n\n{as_markdown(_prose(algorithm), _links(name))}",
        f"## In a config\n\n{_config(name, algorithm)}",
        f"## Meta-parameters\n\n{_meta_parameters(algorithm)}" if issubclass(algorithm, Rule) else "",
        f"## Measured\n\n{measured(name)}",
        f"Fields, ranges and errors: [`{path}`](../reference/{package}/{name}.md).",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _prose(algorithm: type) -> str:
    """A docstring up to its arguments and examples."""
    text = inspect.getdoc(algorithm) or ""
    return re.split(r"^(?:Args:|Attributes:|Further options|>>> )", text, flags=re.MULTILINE)[0].strip()


def _links(name: str) -> dict[str, str]:
    """Where names that a page mentions lead: to their own pages, or into the reference."""
    here = {other: f"({other}.md)" for table in groups().values() for other in table}
    there = {
        public.name: f"(../reference/{public.package}/{public.name}.md)"
        for public in public_names()
        if not public.name.startswith("_")
    }
    return {other: target for other, target in {**there, **here}.items() if other != name}


def _config(name: str, algorithm: type) -> str:
    """Its place in a YAML file, with the defaults of its fields, and the configs that have it."""
    described = {_place(algorithm): {"class_path": name, "init_args": _defaults(algorithm)}}
    block = yaml.safe_dump(described, sort_keys=False, width=110)
    users = [
        config
        for config, path in config_files().items()
        if re.search(rf"(?:class_path|rule|estimator|inner|outer): {name}\b", path.read_text())
    ]
    used = f"Used in {', '.join(f'`{config}`' for config in sorted(users))}." if users else ""
    return f"With the defaults of all fields:\n\n```yaml\n{block}```\n\n{used}".strip()


def _place(algorithm: type) -> str:
    """The field of a config that holds such a thing."""
    if issubclass(algorithm, Rule):
        return "rule"
    return {**dict.fromkeys(ESTIMATORS.values(), "estimator"), **dict.fromkeys(OUTER_LOOPS.values(), "outer")}.get(
        algorithm, "inner"
    )


def _defaults(description: Any) -> dict[str, Any]:
    """Fields of a dataclass, or of one made with its defaults, as they would stand in a YAML file."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(description):
        if isinstance(description, type):
            value = field.default if field.default is not dataclasses.MISSING else _made(field)
        else:
            value = getattr(description, field.name)
        fields[field.name] = _plain(value)
    return fields


def _made(field: dataclasses.Field) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else "..."


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        arguments = _defaults(value)
        return {"class_path": type(value).__name__, **({"init_args": arguments} if arguments else {})}
    if isinstance(value, Mapping):
        return {key: _plain(x) for key, x in value.items()}
    return [_plain(x) for x in value] if isinstance(value, tuple | list) else value


def _meta_parameters(algorithm: type) -> str:
    shapes = jax.eval_shape(algorithm().init, jax.random.key(0))
    leaves = jax.tree.leaves_with_path(shapes)
    if not leaves:
        return "None: there is nothing to learn in it."
    total = sum(math.prod(leaf.shape) for _, leaf in leaves)
    rows = [
        f"| `{jax.tree_util.keystr(path, simple=True, separator='/') or 'theta'}` | `{list(leaf.shape)}` |"
        for path, leaf in leaves
    ]
    listed = "\n".join(["| array | shape |", "|---|---|", *rows])
    return f'{total:,} numbers with the default fields.\n\n??? note "Arrays of `theta`"\n\n' + "\n".join(
        f"    {line}" for line in listed.splitlines()
    )
