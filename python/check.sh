#!/bin/sh
# Proves the Python face: builds the wheel, checks style, types and stubs, runs the tests, with all extras, as root and as
# nobody where the caller is root, then runs the same wheel, with none, in every CPython from 3.11 on that the machine has.
#
#   sh check.sh [DIRECTORY]     the directory for the virtual environments and the wheel; a temporary one if not given
#
# PYTHON names the interpreter (/usr/bin/python3 if not set). Needs cargo, and the venv module (Debian: python3-venv).
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
# An unprivileged user runs the tests from here, so that it must be able to read it all.
chmod 755 "$place"
umask 022

step() { printf '\n== %s\n' "$*"; }

step "environment: $("$python" -V) in $place"
[ -x "$place/venv/bin/python" ] || "$python" -m venv "$place/venv"
bin=$place/venv/bin
"$bin/pip" install --quiet --disable-pip-version-check 'maturin>=1.9,<2' 'mypy>=1.15' 'pytest>=8' 'ruff>=0.12'

step "wheel"
rm -rf "$place/wheel"
(cd "$here" && "$bin/maturin" build --release --quiet --interpreter "$bin/python" --out "$place/wheel")
wheel=$(ls "$place"/wheel/seclude-*.whl)
echo "$wheel"
"$bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"
"$bin/pip" install --quiet --disable-pip-version-check "$wheel[rich,dask]"
"$bin/python" -m zipfile -l "$wheel" | grep 'licenses/LICENSE-MIT' >/dev/null || { echo "the wheel has no licence" >&2; exit 1; }
"$bin/python" -m zipfile -l "$wheel" | grep 'seclude/py.typed' >/dev/null || { echo "the wheel has no py.typed" >&2; exit 1; }

# What runs from here on is the installed wheel: a copy of the tests, away from the sources.
rm -rf "$place/checked"
mkdir "$place/checked"
cp -R "$here/tests" "$here/examples" "$here/pyproject.toml" "$place/checked/"
chmod -R a+rX "$place"
cd "$place/checked"

step "style (ruff)"
(cd "$here" && "$bin/ruff" check --no-cache seclude tests examples && "$bin/ruff" format --no-cache --check seclude tests examples)
# What measures the faces lies beside them, and is read as they are.
for beside in bench programs documents; do
    (cd "$here/../tests/$beside" && "$bin/ruff" check --no-cache . && "$bin/ruff" format --no-cache --check .)
done

step "types (mypy --strict) and stubs (stubtest)"
"$bin/mypy" --config-file pyproject.toml --cache-dir "$place/mypy" -p seclude
"$bin/mypy" --config-file pyproject.toml --cache-dir "$place/mypy" tests
for example in examples/*.py; do
    "$bin/mypy" --config-file pyproject.toml --cache-dir "$place/mypy" "$example"
done
for beside in programs documents; do
    (cd "$here/../tests/$beside" && "$bin/mypy" --config-file "$place/checked/pyproject.toml" --cache-dir "$place/mypy" ./*.py)
done
# stubtest compares each module with itself, too, and there takes an alias of several literals for a union that it is not.
echo 'seclude\.vocabulary\..*' >"$place/allowed"
"$bin/python" -m mypy.stubtest --mypy-config-file pyproject.toml --allowlist "$place/allowed" --ignore-unused-allowlist seclude

step "tests as $(id -un)"
"$bin/python" -m pytest -q
summary="tests as $(id -un): passed"
if [ "$(id -u)" = 0 ]; then
    step "tests as nobody"
    # A home that exists and a temporary directory of its own; nothing of root's is inherited.
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
for candidate in "$python" /usr/bin/python3.[0-9]* /usr/local/bin/python3.[0-9]* /opt/python/*/bin/python "$HOME"/.pyenv/versions/*/bin/python; do
    [ -x "$candidate" ] || continue
    version=$("$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3] if sys.version_info >= (3, 11) and sys.implementation.name == "cpython" else "")' 2>/dev/null) || continue
    case " $versions " in *" $version "*) continue ;; esac
    [ -n "$version" ] || continue
    rm -rf "$place/python-$version"
    "$candidate" -m venv "$place/python-$version" 2>/dev/null || { echo "$candidate: no venv module, skipped"; continue; }
    "$place/python-$version/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-index "$wheel"
    "$place/python-$version/bin/python" -P -W error "$place/checked/tests/smoke.py"
    versions="$versions $version"
    rm -rf "$place/python-$version"
done

step "summary"
echo "$summary"
echo "one wheel in CPython:$versions"
