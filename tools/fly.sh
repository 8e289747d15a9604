#!/usr/bin/env bash
# Runs a module of test/system that flies the installed package: tools/fly.sh chaos.run|chaos.soak|hosts.run|gigantic.run [WORDS...]
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

into_build
export PYTHONPATH="$root/test:$root/test/system${PYTHONPATH:+:$PYTHONPATH}"
exec "$venv/bin/python" -m "$@"
