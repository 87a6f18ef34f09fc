#!/bin/sh
# Checks the Python package. Builds the wheel, checks style, types and stubs, and runs the tests
# with all extras: as the caller, and if that is root also as nobody. Then runs the same wheel
# without extras in every CPython from 3.11 on that the machine has.
#
#   sh check.sh [DIRECTORY]     where to put the virtual environments and the wheel (default: a
#                               temporary directory)
#
# PYTHON names the interpreter (default: /usr/bin/python3). Requires cargo, and Python's module venv
# (Debian: python3-venv).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-/usr/bin/python3}
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    place=$(cd "$1" && pwd)
else
    place=$(mktemp -d /var/tmp/seclude-python.XXXXXX)
    trap 'rm -rf "$place"' EXIT
fi
# An unprivileged user runs the tests from here, so it must be able to read everything.
chmod 755 "$place"
umask 022

step() { printf '\n== %s\n' "$*"; }

step "environment: $("$python" -V) in $place"
[ -x "$place/venv/bin/python" ] || "$python" -m venv "$place/venv"
bin=$place/venv/bin
"$bin/pip" install --quiet --disable-pip-version-check \
    'maturin>=1.9,<2' 'mypy>=1.15' 'pytest>=8' 'pytest-xdist>=3.6' 'ruff>=0.12' \
    'anyio>=4' 'trio>=0.25'

step "wheel"
rm -rf "$place/wheel"
sh "$here/../cli/build-program.sh" data "$here/seclude.data"
(cd "$here" &&
    "$bin/maturin" build --release --quiet --interpreter "$bin/python" --out "$place/wheel")
wheel=$(ls "$place"/wheel/seclude-*.whl)
echo "$wheel"
"$bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"
"$bin/pip" install --quiet --disable-pip-version-check "$wheel[rich,dask]"
contents=$("$bin/python" -m zipfile -l "$wheel")
for needed in licenses/LICENSE-MIT seclude/py.typed data/scripts/seclude; do
    case $contents in
        *"$needed"*) ;;
        *) echo "the wheel has no $needed" >&2; exit 1 ;;
    esac
done

# Copy the tests away from the sources, so that they import the installed wheel.
rm -rf "$place/checked"
mkdir "$place/checked"
cp -R "$here/tests" "$here/examples" "$here/pyproject.toml" "$place/checked/"
chmod -R a+rX "$place"
cd "$place/checked"

step "style (ruff)"
style() { "$bin/ruff" check --no-cache "$@" && "$bin/ruff" format --no-cache --check "$@"; }
(cd "$here" && style seclude tests examples packaging)
# The repository's other Python programs have the same style.
for beside in bench programs documents systems; do
    (cd "$here/../tests/$beside" && style .)
done
(cd "$here/../packaging" && style .)

step "types (mypy --strict) and stubs (stubtest)"
types() {
    "$bin/mypy" --config-file "$place/checked/pyproject.toml" --cache-dir "$place/mypy" "$@"
}
types -p seclude
types tests
types examples/*.py
for beside in programs documents systems; do
    (cd "$here/../tests/$beside" && types ./*.py)
done
for program in "$here"/../packaging/*.py; do
    types "$program"
done
# stubtest also compares each Python module with itself. There it mistakes an alias of several
# literals for a union.
echo 'seclude\.vocabulary\..*' >"$place/allowed"
# Each of these imports a framework that is not here: check-adapters.sh.
echo 'seclude\.adapters\.(deepagents|openai_.*|smolagents)' >>"$place/allowed"
"$bin/python" -m mypy.stubtest --mypy-config-file pyproject.toml \
    --allowlist "$place/allowed" --ignore-unused-allowlist seclude

step "tests as $(id -un)"
"$bin/python" -m pytest -q
summary="tests as $(id -un): passed"
if [ "$(id -u)" = 0 ]; then
    step "tests as nobody"
    # Give it an existing home and a temporary directory of its own, and none of root's environment.
    own=$(mktemp -d /var/tmp/seclude-nobody.XXXXXX)
    chown nobody "$own"
    env -i PATH="$PATH" HOME="$own" TMPDIR="$own" LANG=C.UTF-8 \
        setpriv --reuid=nobody --regid=nogroup --clear-groups "$bin/python" -B -m pytest -q
    rm -rf "$own"
    summary="$summary
tests as nobody: passed"
else
    summary="$summary
tests as nobody: skipped, because the caller is not root"
fi

step "every CPython from 3.11 on"
versions=
identify='import sys
if sys.version_info >= (3, 11) and sys.implementation.name == "cpython":
    print("%d.%d.%d" % sys.version_info[:3])'
for candidate in "$python" /usr/bin/python3.[0-9]* /usr/local/bin/python3.[0-9]* \
    /opt/python/*/bin/python "$HOME"/.pyenv/versions/*/bin/python; do
    [ -x "$candidate" ] || continue
    version=$("$candidate" -c "$identify" 2>/dev/null) || continue
    case " $versions " in *" $version "*) continue ;; esac
    [ -n "$version" ] || continue
    rm -rf "$place/python-$version"
    if ! "$candidate" -m venv "$place/python-$version" 2>/dev/null; then
        echo "$candidate: no venv module, skipped"
        continue
    fi
    "$place/python-$version/bin/pip" install --quiet --disable-pip-version-check \
        --no-deps --no-index "$wheel"
    "$place/python-$version/bin/python" -P -W error "$place/checked/tests/smoke.py"
    versions="$versions $version"
    rm -rf "$place/python-$version"
done

step "summary"
echo "$summary"
echo "one wheel in CPython:$versions"
