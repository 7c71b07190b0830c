#!/usr/bin/env bash
# From an empty machine: set up, meta-train a learned optimizer on real data, compare it with tuned baselines.
# Leaves everything in runs/quickstart; run it again to resume or to see the results again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
.venv/bin/heurax train learned_optimizers/quickstart --run_dir runs/quickstart
.venv/bin/heurax evaluate runs/quickstart --config evaluation/quickstart
