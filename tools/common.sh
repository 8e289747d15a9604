# Sourced by the scripts beside it: where things are, and how a long step is shown.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs

# CMake starts a make of its own, which must not look for the job server of the make that started us.
unset MAKEFLAGS MFLAGS MAKELEVEL

# A ROS 2 distribution counts once it is sourced; the wheels in .venv set no ROS_DISTRO.
if [[ -n ${ROS_DISTRO:-} ]] && command -v ros2 >/dev/null; then
  route=ros
  venv=$root/build/venv-ros
  requirements=(requirements-ros.txt)
else
  route=pypi
  # `make jazzy` takes the wheels of Jazzy, into an environment of their own; all else those of Kilted.
  venv=$root/.venv${SATLLM_WHEELS:+-$SATLLM_WHEELS}
  requirements=("requirements${SATLLM_WHEELS:+-$SATLLM_WHEELS}.txt" requirements-shared.txt)
  unset PYTHONPATH
fi

# into_build: where the installed package runs, with the distribution's environment if there is one. Not the checkout's top
# folder: `python -m` puts the current folder first on the path, and the sources there would hide the generated messages.
into_build() {
  if [[ $route == ros ]]; then
    source "$root/install/setup.bash"
  fi
  mkdir -p "$root/build"
  cd "$root/build"
}

# quietly NAME MESSAGE COMMAND...: one line on the terminal that names the log, everything else in build/logs/NAME.log
quietly() {
  local name=$1 started=$SECONDS log=$logs/$1.log clock=
  local message="$2 (${log#"$root"/})"
  shift 2
  mkdir -p "$logs"
  printf '%s ... ' "$message"
  if [[ -t 1 ]]; then
    (while sleep 1 && kill -0 $$ 2>/dev/null; do printf '\r%s ... %d s ' "$message" $((SECONDS - started)); done) &
    clock=$!
  fi
  local status=0
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [[ -n $clock ]]; then
    kill "$clock" 2>/dev/null
    wait "$clock" 2>/dev/null || true
    printf '\r%s ... ' "$message"
  fi
  if ((status != 0)); then
    printf 'failed; the end of %s:\n' "${log#"$root"/}"
    tail -n 15 "$log" >&2
    exit "$status"
  fi
  printf 'done in %d s\n' $((SECONDS - started))
}

# fingerprint FILE-OR-FOLDER...: hash of names and contents, so that a checkout which only touches files rebuilds nothing
fingerprint() {
  (cd "$root" && find "$@" -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
}
