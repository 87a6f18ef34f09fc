# shellcheck shell=sh
# Read by the other scripts of this directory (`. packaging/environment.sh`): names, the tools that
# they share, and what makes two builds in two directories give the same bytes.
#
#   SECLUDE_TOOLS       where the tools are installed (default: target/tools)
#   SOURCE_DATE_EPOCH   the time in archives (default: that of the last commit)

root=$(cd "$(dirname "$0")/.." && pwd)
cargo=${CARGO:-cargo}
python=${PYTHON:-/usr/bin/python3}
target=${CARGO_TARGET_DIR:-$root/target}
tools=${SECLUDE_TOOLS:-$target/tools}
# shellcheck disable=SC2034  # the scripts use it
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)

case $root$target$HOME in
    *[[:space:]]*)
        echo "the paths of the checkout, of the target directory and of HOME must have no space:" \
            "RUSTFLAGS separates words by it" >&2
        exit 1
        ;;
esac

if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    # Outside of a checkout the changelog is as old as the sources.
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null) ||
        SOURCE_DATE_EPOCH=$(stat -c %Y "$root/CHANGELOG.md")
fi
export SOURCE_DATE_EPOCH
. "$root/packaging/temporary.sh"

# rustc writes the paths of sources into messages of panics.
RUSTFLAGS="--remap-path-prefix=$target=target --remap-path-prefix=$root=seclude"
RUSTFLAGS="$RUSTFLAGS --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
export RUSTFLAGS CARGO="$cargo" CARGO_TARGET_DIR="$target"
umask 022

step() { printf '\n== %s\n' "$*"; }

# Installs the build tools of Python's registry in an environment of their own.
python_tools() {
    [ -x "$tools/bin/python" ] || "$python" -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$root/packaging/requirements.txt"
    PATH=$tools/bin:$PATH
    export PATH
}

# Archives the directory $1/$2 as $3: sorted, of one time, of no user.
archive() {
    tar -C "$1" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --format=gnu --mode=u+rw,go+r,go-w -cf - "$2" | gzip -n -9 >"$3"
}
