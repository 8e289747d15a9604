#!/usr/bin/env bash
# The installed satllm command.
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

into_build
exec "$venv/bin/python" -m satllm_ros.cli.main "$@"
