# shellcheck shell=sh
# Read by scripts that work in a temporary directory (`. packaging/temporary.sh`). The directory is
# removed when the script ends, by itself or by SIGHUP, SIGINT or SIGTERM.

# What is removed. A script may also name something that it makes in another way.
temporary=

# make_temporary PATH: makes the directory $temporary, whose name is PATH and some letters.
make_temporary() { temporary=$(mktemp -d "$1-XXXXXX"); }

trap '[ -z "$temporary" ] || rm -rf "$temporary"' EXIT
# dash runs no EXIT trap when a signal kills it, unlike bash. With these traps, either ends after the
# command that it waits for. So nothing writes to the directory any more when that is removed.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
