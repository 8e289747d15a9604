#!/usr/bin/env bash
# Flies the demo in what tools/bootstrap.sh prepared: `ros2 launch` under a ROS 2 distribution, else `satllm up`.
set -eo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

if [[ $route == pypi ]]; then
  exec "$venv/bin/satllm" up "$@"
fi

source install/setup.bash
exec ros2 launch satllm_ros constellation.launch.py "$@"
