#!/usr/bin/env bash
# Lints the code and runs the tests: ./scripts/test.sh [pytest's options]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
setup cpu,test
cd "$here"
"$python" -m ruff check .
"$python" -m ruff format --check .
exec "$python" -m pytest "$@"
