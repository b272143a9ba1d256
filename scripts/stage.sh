# shellcheck shell=bash
# Sourced by the scripts beside it: moves to the checkout's root and runs stages, one progress line each.
#
#   stage ctest "C++ tests" ctest --test-dir build/python     # output in build/logs/ctest.log, shown where it fails
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p build/logs
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
# What was compiled before is taken from ccache, in another clone too: paths below the checkout's root are no difference.
use_ccache() {
  command -v ccache >/dev/null || return 0
  export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_CUDA_COMPILER_LAUNCHER=ccache
}
use_ccache

# stage <log name> <title> <command...>
stage() {
  local log="build/logs/$1.log" title=$2 status=0 start=$SECONDS
  shift 2
  printf '%-58s ' "$title"
  # A subshell outside of any condition, or `set -e` would not hold inside a function that is run as a stage.
  set +e
  (set -e; "$@") >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if ((status == 0)); then
    printf 'ok %6ds\n' $((SECONDS - start))
    printf '%s\t%d\n' "$title" $((SECONDS - start)) >>build/logs/stages.tsv
  else
    printf 'FAILED after %ds (exit %d)\n' $((SECONDS - start)) "$status"
    printf -- '--- the last lines of %s\n' "$log"
    tail -n 100 "$log"
    exit "$status"
  fi
}

# closing <log name> <lines>: the last lines that a stage wrote.
closing() { tail -n "$2" "build/logs/$1.log" | sed 's/^/    /'; }

# need_debian <package...>: installs what is missing, or says how.
need_debian() {
  local missing=() package install
  if ! command -v dpkg-query >/dev/null; then
    echo "Not a Debian system: install the counterparts of $* by hand, or what follows will name what it misses."
    return
  fi
  for package in "$@"; do
    [[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if ((EUID == 0)); then
    stage apt "Debian packages" install_debian env "${missing[@]}"
  elif command -v sudo >/dev/null && sudo -v 2>/dev/null; then
    stage apt "Debian packages (sudo)" install_debian sudo "${missing[@]}"
  else
    printf 'Debian packages are missing. As root, run:\n    apt-get update && %s\nthen run this script again.\n' "$install"
    exit 1
  fi
}
install_debian() {
  local as=$1
  shift
  "$as" apt-get update
  "$as" apt-get install -y --no-install-recommends "$@"
}

# need_python <stamp> <pip arguments...>: runs pip unless the same arguments and requirement files went in before.
need_python() {
  local stamp=".venv/.routesig-$1" title="Python packages ($1)" key
  shift
  key=$(printf '%s\n' "$*"; cat scripts/requirements*.txt)
  if [[ -f "$stamp" && "$(<"$stamp")" == "$key" ]]; then return; fi
  stage "pip-${stamp##*-}" "$title" .venv/bin/python -m pip install --no-input "$@"
  printf '%s' "$key" >"$stamp"
}
