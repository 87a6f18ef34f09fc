#!/bin/sh
# Builds the Debian packages libseclude0, libseclude-dev and seclude for this machine:
# packaging/debs.sh DIRECTORY
#
#   SECLUDE_MAINTAINER   "NAME <ADDRESS>" of whoever makes the packages, for their control files
#
# Takes debhelper (Debian: debhelper). Rust is what builds, so Debian's own cargo need not be there.
set -eu
. "$(dirname "$0")/environment.sh"

[ $# = 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
to=$(cd "$1" && pwd)
# .invalid is the domain that RFC 2606 keeps for addresses that must not exist.
maintainer=${SECLUDE_MAINTAINER:-seclude developers <maintainers@seclude.invalid>}
make_temporary "${TMPDIR:-/tmp}/seclude-debs"
place=$temporary
tree=$place/seclude-$version
mkdir "$tree"
cp -R "$root/packaging/debian" "$tree/"

sed -i "s|@MAINTAINER@|$maintainer|" "$tree/debian/control"
license=$(sed -e 's/^$/./' -e 's/^/ /' "$root/LICENSE-MIT")
awk -v text="$license" '$0 == "@MIT@" { print text; next } { print }' \
    "$root/packaging/debian/copyright" >"$tree/debian/copyright"
# A package of Debian's own, whose revision is 1 or more, replaces these.
cat >"$tree/debian/changelog" <<END
seclude ($version-0upstream1) unstable; urgency=medium

  * Build version $version from its own packaging.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
(cd "$tree" && source=$root dpkg-buildpackage --build=binary --no-sign --no-check-builddeps \
    --no-pre-clean >"$place/log" 2>&1) || { cat "$place/log" >&2; exit 1; }
mv "$place"/*.deb "$to/"
ls "$to"/*.deb
