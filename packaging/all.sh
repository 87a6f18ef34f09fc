#!/bin/sh
# Builds every artefact of a release, the bill of materials and the checksums:
# packaging/all.sh DIRECTORY [PART...]
#
# A PART is crates, c, debs, sdist or wheels. Without one it builds all. docs/releasing.md says what
# each artefact is and how a release is signed.
set -eu
. "$(dirname "$0")/environment.sh"

[ $# -gt 0 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
to=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- crates c debs sdist wheels
here=$root/packaging

for part in "$@"; do
    step "$part"
    case $part in
        crates) sh "$here/crates.sh" "$to/crates" ;;
        c) sh "$here/tarballs.sh" "$to/c" ;;
        debs) sh "$here/debs.sh" "$to/debs" ;;
        sdist) sh "$here/sdist.sh" "$to/python" ;;
        wheels) sh "$here/wheels.sh" "$to/python" ;;
        *) echo "no part of a release: $part" >&2; exit 2 ;;
    esac
done

step "bill of materials and checksums"
"$python" "$here/sbom.py" "$to/seclude-$version.cdx.json"
cd "$to"
find . -type f ! -name SHA256SUMS | sed 's|^\./||' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
cat SHA256SUMS
