#!/bin/sh
# Installs midas into a virtual environment beside this file: `sh install.sh`, or `sh install.sh test` for developers
# (with what tests, linters and documentation need). The package stays here and its kernels are compiled in place, so that
# a python started in this folder finds the same midas as one elsewhere; run this file again after an update.
#
# MIDAS_VENV     where the environment goes; by default .venv
# PYTHON         the interpreter to use; by default python3
# MIDAS_CHECKED  1: bounds checks in the kernels; MIDAS_NATIVE 1: kernels for the processor of this machine only
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
venv=${MIDAS_VENV:-.venv}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "install.sh: $python is older than Python 3.11; name a newer one in PYTHON" >&2
    exit 1
}

# Debian and Ubuntu ship venv and the headers of Python apart from it.
complete() {
    "$python" -c 'import ensurepip, os, sysconfig, sys
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' 2>/dev/null
}
if ! complete && command -v apt-get >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("python3.%d" % sys.version_info[1])')
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update
    $root apt-get install -y "$version-venv" "$version-dev"
fi
complete || {
    echo "install.sh: $python lacks the venv module or its C headers; install them (python3-venv, python3-dev)" >&2
    exit 1
}
command -v "${CC:-cc}" >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || {
    echo "install.sh: no C compiler found; install gcc" >&2
    exit 1
}

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
extras=
[ "${1:-}" != test ] || extras='[test,docs]'
"$venv/bin/python" -m pip install --disable-pip-version-check --quiet -e ".$extras"
echo "midas is installed in $venv; its commands are in $venv/bin"
