#!/bin/sh
# Builds the command seclude, with its manual pages and completions:
#
#   cli/build-program.sh install      into $DESTDIR$PREFIX, /usr/local if PREFIX is not set
#   cli/build-program.sh data DIR     into DIR, as the data directory of a wheel
#
# CARGO_TARGET_DIR    where cargo builds
set -eu

cli=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$cli")
cargo=${CARGO:-cargo}
target=${CARGO_TARGET_DIR:-$root/target}

install_into() { # PROGRAMS SHARE
    (cd "$root" && "$cargo" build --quiet --release --package seclude-cli)
    share=$2
    install -d "$1" "$share/man/man1" "$share/bash-completion/completions" \
        "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
    install -m 755 "$target/release/seclude" "$1/seclude"
    strip --strip-unneeded "$1/seclude"
    "$1/seclude" manual "$share/man/man1"
    "$1/seclude" completions bash >"$share/bash-completion/completions/seclude"
    "$1/seclude" completions zsh >"$share/zsh/site-functions/_seclude"
    "$1/seclude" completions fish >"$share/fish/vendor_completions.d/seclude.fish"
}

case ${1:-} in
install)
    to=${DESTDIR:-}${PREFIX:-/usr/local}
    install_into "$to/bin" "$to/share"
    ;;
data)
    # wheels: .data/scripts goes beside the interpreter, .data/data to the environment's prefix
    rm -rf "$2"
    install_into "$2/scripts" "$2/data/share"
    ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
