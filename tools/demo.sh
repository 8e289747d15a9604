#!/usr/bin/env bash
# Flies the demo in what tools/bootstrap.sh prepared: `ros2 launch` under a ROS 2 distribution, else `satllm up`.
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

if [[ $route == pypi ]]; then
  exec "$venv/bin/satllm" up "$@"
fi

source install/setup.bash
previous=$(readlink runs/latest || true)
ros2 launch satllm_ros constellation.launch.py "$@"
# `ros2 launch` ends with 0 however its processes ended: the record of the run says whether every tile came down.
if [[ $(readlink runs/latest || true) == "$previous" ]]; then
  echo "satllm: the launch left no run behind, see its messages above" >&2
  exit 1
fi
satllm report >/dev/null
