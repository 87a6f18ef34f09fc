# shellcheck shell=sh
# Read by the scripts that install (`. packaging/place.sh`). They make a prefix in a directory of
# their own first. Then the files are copied, and their list is kept, so that `make uninstall` can
# remove them, and nothing else.

# place STAGE NAME: copies what lies below STAGE to $DESTDIR$PREFIX. The list is share/seclude/NAME.
# With SECLUDE_LIST=no, which is for makers of packages, none is kept.
place() {
    to=${DESTDIR:-}${PREFIX:-/usr/local}
    if [ "${SECLUDE_LIST:-yes}" = yes ]; then
        mkdir -p "$1/share/seclude"
        (cd "$1" && find . ! -type d | sed 's|^\./||' | LC_ALL=C sort) >"$1/list"
        echo "share/seclude/$2" >>"$1/list"
        mv "$1/list" "$1/share/seclude/$2"
    fi
    mkdir -p "$to"
    # Directories that exist keep their modes. A program that runs keeps its old file.
    (cd "$1" && find . -type d) | while IFS= read -r directory; do
        [ -d "$to/$directory" ] || mkdir -m 755 "$to/$directory"
    done
    (cd "$1" && find . ! -type d) | while IFS= read -r file; do
        rm -f "$to/$file"
        cp -P -p "$1/$file" "$to/$file"
    done
}

# unplace NAME: removes the files of that list, and the directories that are empty then.
unplace() {
    to=${DESTDIR:-}${PREFIX:-/usr/local}
    list=$to/share/seclude/$1
    if [ ! -f "$list" ]; then
        echo "$list is not there: nothing is installed below $to" >&2
        exit 1
    fi
    files=$(cat "$list")
    echo "$files" | while IFS= read -r file; do rm -f "$to/$file"; done
    # The deepest first. Directories that hold something else stay, and so does the prefix.
    echo "$files" | while IFS= read -r file; do
        directory=${file%/*}
        while [ "$directory" != "${directory#*/}" ]; do
            echo "$directory"
            directory=${directory%/*}
        done
        echo "$directory"
    done | LC_ALL=C sort -ru | while IFS= read -r directory; do
        rmdir "$to/$directory" 2>/dev/null || :
    done
}
