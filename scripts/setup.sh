# Sourced by demo.sh and test.sh: `setup EXTRAS` makes or reuses .venv with this package in it.
# Works from any folder; a second call takes a fraction of a second.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python="$here/.venv/bin/python"
unset PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME # compiled modules import six times as fast

fail() {
    printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

setup() {
    local extras=$1 wanted
    wanted=$( (cat "$here/setup.cfg" "$here/pyproject.toml" && echo "$here") | cksum | tr ' ' -)
    installed "$extras" "$wanted" && return
    lock
    installed "$extras" "$wanted" || install "$extras" "$here/.venv/installed-$extras-$wanted"
    unlock
}

# What is there for the tests (cpu,test) is there for the demo (cpu) too.
installed() {
    local stamp
    for stamp in "$here/.venv/installed-$1"*"-$2"; do
        [ -e "$stamp" ] && return
    done
    return 1
}

# Two scripts started at once must not install over each other. The lock is a link to a file that
# says whose it is already, lest a kill leave one that is nobody's.
lock() {
    local owner
    echo $$ >"$here/.venv.lock.$$" || fail "no permission to write in $here"
    trap unlock EXIT
    until ln "$here/.venv.lock.$$" "$here/.venv.lock" 2>/dev/null; do
        owner=$(cat "$here/.venv.lock" 2>/dev/null)
        if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
            rm -f "$here/.venv.lock" # its owner was killed
        else
            sleep 1
        fi
    done
}

unlock() {
    [ "$(cat "$here/.venv.lock" 2>/dev/null)" != $$ ] || rm -f "$here/.venv.lock"
    rm -f "$here/.venv.lock.$$"
    trap - EXIT
}

install() {
    local extras=$1 stamp=$2 free base
    free=$(df -Pk "$here" | awk 'NR == 2 {print int($4 / 1024)}')
    [ "$free" -ge 3000 ] || fail "about 3 GB of disk are needed in $here, but $free MB are free"
    if ! "$python" -c 'import pip' 2>/dev/null; then
        echo "Making $here/.venv"
        rm -rf "$here/.venv"
        base=$(find_python) || exit 1
        "$base" -m venv "$here/.venv" ||
            fail "$base has no working venv module: on Debian and Ubuntu, apt install python3-venv"
    fi
    echo "Installing keras_vision[$extras]: about 1.5 GB, a minute or two with a good network"
    "$python" -m pip install --quiet --disable-pip-version-check -e "$here[$extras]" ||
        fail "pip could not install the packages (see above). Is there a network, or a proxy to set?"
    touch "$stamp"
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 is needed; found $(python3 --version 2>&1 || echo none). Set PYTHON=/path/to/python3"
}
