# shellcheck shell=bash
# Sourced by kernels.sh and guest-root.sh: Debian's packages of any architecture, without changing
# the system's own package sources or installing anything.
#
# VM_ARCH is the guest's architecture as uname(1) prints it: x86_64 (default), aarch64 or riscv64.
# $cache is the directory that keeps what was fetched for it.

case ${VM_ARCH:=x86_64} in
    x86_64) debian_arch=amd64 ;;
    aarch64) debian_arch=arm64 ;;
    riscv64) debian_arch=riscv64 ;;
    *) echo "${0##*/}: no architecture $VM_ARCH; there are x86_64, aarch64 and riscv64" >&2; exit 1 ;;
esac
cache=${VM_CACHE:-/var/tmp/seclude-vm}
[ "$VM_ARCH" = x86_64 ] || cache+=/$VM_ARCH

# The mirror that this machine's apt uses for its own release. On other systems than Debian,
# VM_MIRROR must name one.
mirror() {
    local codename found
    [ -z "${VM_MIRROR:-}" ] || { echo "$VM_MIRROR"; return; }
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") || codename=-
    found=$(apt-get update --print-uris | sed -n "s|^'\(.*\)/dists/$codename/InRelease' .*|\1|p" | head -n 1)
    [ -n "$found" ] || { echo "${0##*/}: apt names no Debian mirror; set VM_MIRROR" >&2; return 1; }
    echo "$found"
}

# packages_of RELEASE DIRECTORY: makes DIRECTORY a state of apt with the packages of RELEASE. The
# array `apt` then has the options for apt-get and apt-cache.
packages_of() {
    local source
    rm -rf "$2"
    mkdir -p "$2"/{lists/partial,cache/archives/partial,parts}
    : >"$2/status"
    source=$(mirror)
    echo "deb [arch=$debian_arch signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $source $1 main" >"$2/sources"
    # The indexes of releases without support have expired, and these releases are needed here.
    apt=(-qq -o "Dir::State=$2" -o "Dir::State::lists=$2/lists" -o "Dir::State::status=$2/status" -o "Dir::Cache=$2/cache"
        -o "Dir::Etc::sourcelist=$2/sources" -o "Dir::Etc::sourceparts=$2/parts" -o "Dir::Etc::preferencesparts=$2/parts"
        -o "APT::Architecture=$debian_arch" -o "APT::Architectures::=$debian_arch"
        -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none -o Acquire::Retries=3
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Update::Post-Invoke-Success::= -o APT::Sandbox::User=root)
    apt-get "${apt[@]}" update >&2
}
