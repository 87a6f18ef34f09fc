#!/bin/sh
# Builds the command seclude, with its manual pages and completions:
#
#   cli/build-program.sh install      into $DESTDIR$PREFIX, /usr/local if PREFIX is not set
#   cli/build-program.sh uninstall    removes that again
#   cli/build-program.sh data DIR     into DIR, as the data directory of a wheel
#
# CARGO_TARGET_DIR    where cargo builds
# SECLUDE_TARGET      a target triple, to build for another target than this machine's. An oldest
#                     version of glibc may follow: x86_64-unknown-linux-gnu.2.17. cargo-zigbuild
#                     builds it.
# SECLUDE_WRITER      the same command for this machine, which writes the manual pages where that
#                     for the target cannot run. By default it is built.
set -eu

cli=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$cli")
. "$root/packaging/place.sh"
. "$root/packaging/temporary.sh"
cargo=${CARGO:-cargo}
target=${CARGO_TARGET_DIR:-$root/target}

build() { # COMMAND-OF-CARGO OPTION...
    (cd "$root" && "$cargo" "$@" --quiet --release --package seclude-cli)
}

# Builds the command as $program. $writer is the same command, which this machine can run.
build_both() {
    if [ -z "${SECLUDE_TARGET:-}" ]; then
        build build
        program=$target/release/seclude writer=$target/release/seclude
        return
    fi
    build zigbuild --target "$SECLUDE_TARGET"
    triple=${SECLUDE_TARGET%%.*}
    program=$target/$triple/release/seclude writer=$program
    "$writer" --version >/dev/null 2>&1 || writer=${SECLUDE_WRITER:-}
    if [ -z "$writer" ]; then
        build build
        writer=$target/release/seclude
    fi
}

install_into() { # PROGRAMS SHARE
    build_both
    share=$2
    install -d "$1" "$share/man/man1" "$share/man/man7" "$share/bash-completion/completions" \
        "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
    install -m 755 "$program" "$1/seclude"
    "$writer" manual "$share/man/man1"
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
    sed "s|@VERSION@|$version|" "$cli/seclude.7.in" >"$share/man/man7/seclude.7"
    "$writer" completions bash >"$share/bash-completion/completions/seclude"
    "$writer" completions zsh >"$share/zsh/site-functions/_seclude"
    "$writer" completions fish >"$share/fish/vendor_completions.d/seclude.fish"
}

case ${1:-} in
install)
    make_temporary "${TMPDIR:-/tmp}/seclude-program"
    stage=$temporary
    chmod 755 "$stage"
    install_into "$stage/bin" "$stage/share"
    place "$stage" program
    ;;
uninstall) unplace program ;;
data)
    # wheels: .data/scripts goes beside the interpreter, .data/data to the environment's prefix
    rm -rf "$2"
    install_into "$2/scripts" "$2/data/share"
    ;;
*) sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
