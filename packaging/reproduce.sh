#!/bin/sh
# Builds the same commit in two directories, and compares the artefacts byte by byte:
# packaging/reproduce.sh [PART...]    (as for packaging/all.sh; default: sdist crates c debs)
#
#   SECLUDE_MADE   a directory that packaging/all.sh has filled from the last commit of this
#                  checkout, with another target directory: saves one of the two builds.
#
# Ends with "N passed, N failed". An artefact that differs is named, with the files in it that do.
set -eu
. "$(dirname "$0")/environment.sh"

[ $# -gt 0 ] || set -- crates c debs sdist
make_temporary "${TMPDIR:-/var/tmp}/seclude-twice"
place=$temporary
unset CARGO_TARGET_DIR
SECLUDE_TOOLS=$tools
export SECLUDE_TOOLS

turns="one another/deeper" first=$place/one/made second=$place/another/deeper/made
if [ -n "${SECLUDE_MADE:-}" ]; then
    first=$(cd "$SECLUDE_MADE" && pwd) turns=another/deeper
fi
for turn in $turns; do
    mkdir -p "$place/$turn"
    git clone --quiet --no-hardlinks "$root" "$place/$turn/seclude"
    # A checkout may be older than its last commit, so one of these is.
    [ "$turn" = one ] || find "$place/$turn/seclude" -path '*/.git' -prune -o -type f \
        -exec touch --date=@1000000000 {} +
    sh "$place/$turn/seclude/packaging/all.sh" "$place/$turn/made" "$@" >"$place/log" 2>&1 || {
        cat "$place/log" >&2
        exit 1
    }
done
passed=0 failed=0
files() { (cd "$1" && find . -type f ! -name SHA256SUMS); }
# What was made beforehand may have more parts than these.
for file in $({ files "$second"; [ -n "${SECLUDE_MADE:-}" ] || files "$first"; } | sort -u); do
    if [ ! -e "$first/$file" ] || [ ! -e "$second/$file" ]; then
        failed=$((failed + 1))
        echo "FAILED $file was built once only"
    elif cmp -s "$first/$file" "$second/$file"; then
        passed=$((passed + 1))
        echo "ok $file"
    else
        failed=$((failed + 1))
        echo "FAILED $file differs"
        sh "$root/packaging/contents.sh" "$first/$file" >"$place/a"
        sh "$root/packaging/contents.sh" "$second/$file" >"$place/b"
        diff "$place/a" "$place/b" | sed 's/^/    /' || :
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
