#!/bin/sh
# Prints the first of the Pythons asked for that really starts; without an argument 3.11, then 3.10.
#
# A name on PATH proves nothing: a version manager's shim may be there for a version that is not switched on,
# and then fails when called. So each candidate is called.
#
# Usage: find-python.sh [PATH|VERSION ...]. With $PYTHON set, it is that one or none.
set -u

# Prints the program behind $1 when it starts and is of one of the versions that follow.
program() {
    found=$("$1" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:] or print(sys.executable))' \
        "$2" ${3:+"$3"} </dev/null 2>/dev/null) && [ -n "$found" ] && echo "$found"
}

# The version manager's own folders come last: they hold what its shims refuse to start.
candidates() {
    echo "python$1"
    echo python3
    ls -d "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$1"*/bin/python3 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    program "$PYTHON" 3.11 3.10 && exit
    echo "PYTHON=$PYTHON is not a Python 3.11 or 3.10 that starts." >&2
    exit 1
fi
[ $# -gt 0 ] || set -- 3.11 3.10
for wanted in "$@"; do
    case "$wanted" in
    */*) program "$wanted" 3.11 3.10 && exit ;;
    *)
        for candidate in $(candidates "$wanted"); do
            program "$candidate" "$wanted" && exit
        done
        ;;
    esac
done
echo "None of these is here and starts: Python $*. Install one (on Debian: python3 and python3-venv)," >&2
echo "or name one: make PYTHON=/path/to/python3.11 ..." >&2
exit 1
