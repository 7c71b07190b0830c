#!/usr/bin/env bash
# Does re-parameterisation in meta-training help on a problem in other units? Run again to go on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .venv/bin/python ] || bash scripts/setup.sh
.venv/bin/python -m scripts.reproduce.augmentation "$@"
