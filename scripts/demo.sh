#!/usr/bin/env bash
# Colours the built-in photos, or those named, with the shipped weights: ./scripts/demo.sh [photo ...]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
setup cpu
exec "$python" "$here/scripts/demo.py" "$@"
