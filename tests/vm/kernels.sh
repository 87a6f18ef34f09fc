#!/bin/bash
# Fetches Debian's kernels 5.10, 6.1 and 6.12, unpacks them below $VM_CACHE, and prints the
# directory of each.
#
# Usage: kernels.sh VERSION…
#
# Nothing is installed, and the system's package sources stay unchanged: apt uses a separate state
# directory, with the mirror that the system is configured for. A kernel that exists already is not
# fetched again.
set -euo pipefail

cache=${VM_CACHE:-/var/tmp/seclude-vm}

# The Debian release that has a kernel of this version.
suite() {
    case $1 in
        5.10) echo bullseye ;;
        6.1) echo bookworm ;;
        6.12) echo bookworm-backports ;;
        *) echo "kernels.sh: no kernel $1; there are 5.10, 6.1 and 6.12" >&2; return 1 ;;
    esac
}

# The mirror that this machine's apt uses for its own release. On other systems than Debian,
# VM_MIRROR must name one.
mirror() {
    local codename found
    [ -z "${VM_MIRROR:-}" ] || { echo "$VM_MIRROR"; return; }
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") || codename=-
    found=$(apt-get update --print-uris | sed -n "s|^'\(.*\)/dists/$codename/InRelease' .*|\1|p" | head -n 1)
    [ -n "$found" ] || { echo "kernels.sh: apt names no Debian mirror; set VM_MIRROR" >&2; return 1; }
    echo "$found"
}

# fetch VERSION DIRECTORY
fetch() {
    local work=$2.part name source
    rm -rf "$work"
    mkdir -p "$work"/{lists/partial,cache/archives/partial,parts,tree}
    : >"$work/status"
    source=$(mirror)
    echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $source $(suite "$1") main" >"$work/sources"
    # The indexes of releases without support have expired, and these releases are needed here.
    local apt=(-qq -o "Dir::State=$work" -o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache"
        -o "Dir::Etc::sourcelist=$work/sources" -o "Dir::Etc::sourceparts=$work/parts" -o "Dir::Etc::preferencesparts=$work/parts"
        -o APT::Architecture=amd64 -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Update::Post-Invoke-Success::= -o APT::Sandbox::User=root)
    apt-get "${apt[@]}" update >&2
    # linux-image-amd64 is an empty package that depends on the current version.
    name=$(apt-cache "${apt[@]}" depends --important linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$name" ] || { echo "kernels.sh: $(suite "$1") has no linux-image-amd64" >&2; return 1; }
    (cd "$work" && apt-get "${apt[@]}" download "$name" >&2)
    dpkg-deb --extract "$work"/linux-image-*.deb "$work/tree"
    rm -rf "$2"
    mv "$work/tree" "$2"
    rm -rf "$work"
}

for version; do
    directory=$cache/linux-$version
    if ! compgen -G "$directory/boot/vmlinuz-*" >/dev/null; then
        suite "$version" >/dev/null
        echo "fetching Linux $version of Debian ($(suite "$version"))" >&2
        mkdir -p "$cache"
        fetch "$version" "$directory"
    fi
    echo "$directory"
done
