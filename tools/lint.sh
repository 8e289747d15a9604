#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

"$venv/bin/python" -m ruff check .
"$venv/bin/python" -m ruff format --check .
"$venv/bin/lint-imports" --no-logo --no-cache
"$venv/bin/python" tools/house.py --quiet

# Elsewhere rclpy and numpy have other types, or none.
if [[ $route != pypi || -n ${SATLLM_WHEELS:-} ]]; then
  printf 'satllm: types are checked with the wheels of requirements.txt only: left out\n'
  exit 0
fi
"$venv/bin/python" tools/message_stubs.py build/stubs
# Modules of tests find each other by bare name, as pytest has them.
MYPYPATH=test:$(printf '%s:' test/*/)
export MYPYPATH
"$venv/bin/python" -m mypy
# A room's name before it tells each from the others.
conftests=()
for file in test/*/conftest.py; do
  room=${file#test/}
  conftests+=(-m "${room%/conftest.py}.conftest")
done
"$venv/bin/python" -m mypy "${conftests[@]}"
