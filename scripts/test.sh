#!/usr/bin/env bash
# Every check: formatting, lint, types, import layers, tests, notebooks, documentation. Works on a fresh machine.
# Arguments go to pytest, for instance: bash scripts/test.sh -m 'not slow'
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH" JAX_PLATFORMS=cpu
export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$PWD/.cache/jax}"

ruff format --check .
ruff check .
lint-imports
pyright --pythonpath .venv/bin/python
pytest --numprocesses "${HEURAX_TEST_PROCESSES:-2}" --dist worksteal --quiet "$@"
python -m benchmarks.guard

mkdir -p .cache
notebooks=$(mktemp -d .cache/notebooks.XXXXXX)  # in the tree, where notebooks find results/
trap 'rm -rf "$notebooks"' EXIT
for source in notebooks/*.py; do
    jupytext --quiet --to ipynb --output "$notebooks/$(basename "${source%.py}").ipynb" "$source"
done
pytest --nbmake --overwrite --quiet --override-ini addopts= "$notebooks"
HEURAX_NOTEBOOKS="$notebooks" NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet  # with their outputs, in .cache/site
