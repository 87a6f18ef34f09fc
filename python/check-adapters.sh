#!/bin/sh
# Tests the adapters for agent frameworks with the frameworks themselves: types, tests, and the
# programs of docs/agents.md. Installs the versions that the adapters name, and what these require,
# in an environment of its own (about 500 MB).
#
#     sh check-adapters.sh WHEEL DIRECTORY      where to put the environment
#
# PYTHON names the interpreter (default: /usr/bin/python3).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wheel=$1
mkdir -p "$2"
place=$(cd "$2" && pwd)
chmod 755 "$place"
umask 022
bin=$place/venv/bin

step() { printf '\n== %s\n' "$*"; }

version() { sed -n 's/^VERSION = "\(.*\)"$/\1/p' "$here/seclude/adapters/$1.py"; }

step "environment in $place"
[ -x "$bin/python" ] || "${PYTHON:-/usr/bin/python3}" -m venv "$place/venv"
"$bin/pip" install --quiet --disable-pip-version-check \
    "openai-agents==$(version openai_agents)" "deepagents==$(version deepagents)" \
    "smolagents==$(version smolagents)" 'langchain-tests==1.1.9' 'mypy>=1.15' 'pytest>=8'
"$bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"

# Copy the tests away from the sources, so that they import the installed wheel.
rm -rf "$place/checked"
mkdir "$place/checked"
cp -R "$here/tests" "$here/pyproject.toml" "$place/checked/"
chmod -R a+rX "$place"
cd "$place/checked"

step "types (mypy --strict) with those of the frameworks"
types() { "$bin/mypy" --config-file pyproject.toml --cache-dir "$place/mypy" "$@"; }
types -p seclude.adapters
types tests/test_adapters_*.py

# The standard tests of LangChain are coroutines, too.
tests() {
    "$@" "$bin/python" -B -m pytest -q -o asyncio_mode=auto \
        -o asyncio_default_fixture_loop_scope=function tests/test_adapters_*.py
}
step "tests as $(id -un)"
tests
if [ "$(id -u)" = 0 ]; then
    step "tests as nobody"
    own=$(mktemp -d /var/tmp/seclude-nobody.XXXXXX)
    chown nobody "$own"
    tests env -i PATH="$PATH" HOME="$own" TMPDIR="$own" LANG=C.UTF-8 \
        setpriv --reuid=nobody --regid=nogroup --clear-groups
    rm -rf "$own"
fi

step "the programs of docs/agents.md"
"$bin/python" "$here/../tests/documents/run.py" --alone --python "$bin/python" \
    --library /nonexistent --place "$place/documents" "$here/../docs/agents.md"
