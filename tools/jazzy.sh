#!/usr/bin/env bash
# Flies the demo and runs the tests of the nodes on the wheels of ROS 2 Jazzy; words go to the tests.
set -eo pipefail
export SATLLM_WHEELS=jazzy
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ $route == ros ]]; then
  printf 'satllm: ROS 2 %s is sourced, which would be mixed with the wheels of Jazzy: use a shell without it\n' \
    "$ROS_DISTRO" >&2
  exit 2
fi
"$root/tools/bootstrap.sh"
"$root/tools/demo.sh"
into_build
exec "$venv/bin/python" -m pytest "$root/test/nodes" -q -n 2 --dist loadfile "$@"
