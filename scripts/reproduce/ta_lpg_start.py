"""A temporally aware LPG that begins as an LPG: with its weights, and zeros where it reads the time.

    python -m scripts.reproduce.ta_lpg_start LPG OUT

`LPG` is the directory of an artifact or of a run. With it, both rules of `ta_lpg.sh` begin evolution from the same.
"""

import argparse
import dataclasses
from pathlib import Path

import jax.numpy as jnp

from heurax import artifacts
from heurax.rules import LPG, TemporallyAwareLPG


def temporally_aware(artifact: artifacts.Artifact) -> artifacts.Artifact:
    """The rule with a clock that it does not heed yet."""
    assert isinstance(artifact.rule, LPG)
    unit = artifact.theta["unit"]
    weights = unit["input"]["w"]
    weights = jnp.concatenate([weights, jnp.zeros((2, weights.shape[1]), weights.dtype)])
    theta = artifact.theta | {"unit": unit | {"input": unit["input"] | {"w": weights}}}
    return artifacts.Artifact(TemporallyAwareLPG(**dataclasses.asdict(artifact.rule)), theta)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lpg", help="directory of an artifact or of a run, whose rule is LPG")
    parser.add_argument("out", type=Path, help="directory to be made")
    options = parser.parse_args()
    artifacts.save(options.out, temporally_aware(artifacts.load(options.lpg)), overwrite=True)


if __name__ == "__main__":
    main()
