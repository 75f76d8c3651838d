#!/usr/bin/env bash
# Lints the code and runs the tests: ./scripts/test.sh [--all] [pytest's options and tests]
# --all adds what takes minutes: the lessons, notebooks, exports, kills, several processes.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
depth=(-m "not slow and not realdata")
if [ "${1:-}" = --all ]; then
    depth=()
    shift
fi
setup cpu,test
cd "$here"
"$python" -m ruff check .
"$python" -m ruff format --check .
# Two processes, for most tests keep one core busy; a file's tests share models that take long to compile.
exec "$python" -m pytest -n 2 --dist loadfile ${depth[@]+"${depth[@]}"} "$@"
