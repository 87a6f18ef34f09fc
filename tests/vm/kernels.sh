#!/bin/bash
# Fetches Debian's kernels, unpacks them below $VM_CACHE, and prints the directory of each.
#
# Usage: [VM_ARCH=ARCHITECTURE] kernels.sh VERSION…
#
# A VERSION is 5.10, 6.1 or 6.12; on aarch64 also 6.12-16k, with pages of 16 KiB. Debian has no
# kernel with pages of 64 KiB. Nothing is installed (debian.sh). A kernel that exists already is not
# fetched again.
set -euo pipefail

# shellcheck source=tests/vm/debian.sh
. "$(dirname "$(readlink -f "$0")")/debian.sh"

# The Debian release that has a kernel of this version for this architecture.
suite() {
    case $VM_ARCH/$1 in
        riscv64/6.12) echo trixie ;;
        riscv64/*) false ;;
        */5.10) echo bullseye ;;
        */6.1) echo bookworm ;;
        */6.12 | aarch64/6.12-16k) echo bookworm-backports ;;
        *) false ;;
    esac || { echo "kernels.sh: there is no kernel $1 for $VM_ARCH; see the head of kernels.sh" >&2; return 1; }
}

# fetch VERSION DIRECTORY
fetch() {
    local work=$2.part name flavour=$debian_arch
    [[ $1 != *-* ]] || flavour+=-${1#*-}
    packages_of "$(suite "$1")" "$work"
    # linux-image-amd64 is an empty package that depends on the current version.
    name=$(apt-cache "${apt[@]}" depends --important "linux-image-$flavour" | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$name" ] || { echo "kernels.sh: $(suite "$1") has no linux-image-$flavour" >&2; return 1; }
    (cd "$work" && apt-get "${apt[@]}" download "$name" >&2)
    dpkg-deb --extract "$work"/linux-image-*.deb "$work/tree"
    # Since Debian 13 the modules are in /usr/lib.
    [ -e "$work/tree/lib" ] || ln -s usr/lib "$work/tree/lib"
    rm -rf "$2"
    mv "$work/tree" "$2"
    rm -rf "$work"
}

for version; do
    directory=$cache/linux-$version
    if ! compgen -G "$directory/boot/vmlinu?-*" >/dev/null; then
        suite "$version" >/dev/null
        echo "fetching Linux $version of Debian ($(suite "$version"), $debian_arch)" >&2
        mkdir -p "$cache"
        fetch "$version" "$directory"
    fi
    echo "$directory"
done
