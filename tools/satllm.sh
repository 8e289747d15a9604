#!/usr/bin/env bash
# The installed satllm command.
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ $route == ros ]]; then
  source "$root/install/setup.bash"
fi
mkdir -p "$root/build"
cd "$root/build"
exec "$venv/bin/python" -m satllm_ros.cli "$@"
