#!/bin/sh
# Builds the source distribution of the Python package: packaging/sdist.sh DIRECTORY
set -eu
. "$(dirname "$0")/environment.sh"

[ $# = 1 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1"
to=$(cd "$1" && pwd)
python_tools
cd "$root/python"
# The backend makes it, and takes it for a wheel's command.
temporary=$root/python/seclude.data
# As a front end such as pip calls it.
PYTHONPATH=packaging "$tools/bin/python" -c \
    'import sys, backend; backend.build_sdist(sys.argv[1])' "$to"
ls "$to"/seclude-"$version".tar.gz
