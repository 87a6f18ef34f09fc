#!/bin/sh
# Imports and runs an unpacked wheel, in any root: packaging/run-wheel.sh PYTHON SITE VERSION
#
# SITE is where pip has put it. python/tests/smoke.py lies beside this script.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd /
PYTHONPATH=$2 PYTHONDONTWRITEBYTECODE=1 "$1" -P -W error "$here/smoke.py"
[ "$("$2/bin/seclude" --version)" = "seclude $3" ]
[ "$("$2/bin/seclude" run -- echo inside)" = inside ]
