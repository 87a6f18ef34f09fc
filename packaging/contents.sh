#!/bin/sh
# Prints the checksum and the name of each file in an archive: packaging/contents.sh ARCHIVE
set -eu
. "$(dirname "$0")/temporary.sh"
make_temporary "${TMPDIR:-/tmp}/seclude-contents"
place=$temporary
case $1 in
    *.deb) dpkg-deb -R "$1" "$place" ;;
    *.whl) python3 -m zipfile -e "$1" "$place" ;;
    *.tar.gz | *.crate) tar -C "$place" -xzf "$1" ;;
    *) cp "$1" "$place/" ;;
esac
cd "$place"
find . -type f | LC_ALL=C sort | xargs -d '\n' sha256sum
