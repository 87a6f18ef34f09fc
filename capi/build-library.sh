#!/bin/sh
# Builds libseclude and installs it: capi/build-library.sh build | install
#
#   DESTDIR, PREFIX     where to install: $DESTDIR$PREFIX. The default of PREFIX is /usr/local.
#   CARGO_TARGET_DIR    where cargo builds. The libraries are made in its directory seclude-capi.
#
# This script links the shared library from the static one. A version script for a Rust cdylib does
# not work: lld ignores it, and bfd refuses it.
set -eu

capi=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$capi")
cargo=${CARGO:-cargo}
cc=${CC:-cc}
prefix=${PREFIX:-/usr/local}
target=${CARGO_TARGET_DIR:-$root/target}
built=$target/seclude-capi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
soname=libseclude.so.0

build() {
    (cd "$root" && "$cargo" build --quiet --release --package seclude-capi --bins)
    # rustc names the libraries that the static one needs. The linker and pkg-config get them.
    needs=$(cd "$root" && "$cargo" rustc --release --package seclude-capi --lib -- \
        --print native-static-libs 2>&1 | sed -n 's/^note: native-static-libs: //p' | tail -n 1)
    mkdir -p "$built"
    # rustc prints them only when it compiles, so they are kept in a file. libgcc_s is left out: the
    # compiler adds the unwinder that fits, the shared libgcc_s, or libgcc_eh with -static.
    if [ -n "$needs" ]; then echo "$needs" | sed 's/-lgcc_s *//' >"$built/native-static-libs"; fi
    needs=$(cat "$built/native-static-libs")

    cp "$target/release/libseclude.a" "$built/libseclude.a"
    # shellcheck disable=SC2086  # $needs is a list of flags
    "$cc" -shared -o "$built/libseclude.so.$version" \
        -Wl,-soname,"$soname" -Wl,--version-script="$capi/seclude.map" \
        -Wl,--gc-sections -Wl,-z,relro,-z,now,-z,noexecstack \
        -Wl,--whole-archive "$built/libseclude.a" -Wl,--no-whole-archive $needs
    ln -sf "libseclude.so.$version" "$built/$soname"
    ln -sf "$soname" "$built/libseclude.so"

    "$target/release/seclude-write-warden" "$built/warden"
    sed -e "s|@VERSION@|$version|" -e "s|@STATIC_LIBS@|$needs|" \
        "$capi/seclude.pc.in" >"$built/seclude.pc"
    for file in SecludeConfig SecludeConfigVersion; do
        sed -e "s|@VERSION@|$version|" -e "s|@STATIC_LIBS@|$needs|" \
            "$capi/cmake/$file.cmake.in" >"$built/$file.cmake"
    done
    sed -e "s|@WARDEN@|$prefix/libexec/seclude/warden|" \
        "$capi/apparmor/seclude-warden.in" >"$built/seclude-warden"
}

install_files() {
    to=${DESTDIR:-}$prefix
    install -d "$to/lib/pkgconfig" "$to/include" "$to/libexec/seclude" \
        "$to/share/seclude/apparmor.d" "$to/share/seclude/seccomp"
    install -m 755 "$built/libseclude.so.$version" "$to/lib/"
    strip --strip-unneeded "$to/lib/libseclude.so.$version"
    ln -sf "libseclude.so.$version" "$to/lib/$soname"
    ln -sf "$soname" "$to/lib/libseclude.so"
    install -m 644 "$built/libseclude.a" "$to/lib/"
    strip --strip-debug "$to/lib/libseclude.a"
    install -m 644 "$root/include/seclude.h" "$to/include/"
    install -d "$to/include/seclude" "$to/lib/cmake/Seclude"
    install -m 644 "$root/include/seclude/testing.h" "$root/include/seclude/gtest.hpp" \
        "$to/include/seclude/"
    install -m 644 "$built/SecludeConfig.cmake" "$capi/cmake/SecludeTesting.cmake" \
        "$to/lib/cmake/Seclude/"
    install -m 644 "$built/SecludeConfigVersion.cmake" "$to/lib/cmake/Seclude/"
    install -m 644 "$built/seclude.pc" "$to/lib/pkgconfig/"
    install -m 755 "$built/warden" "$to/libexec/seclude/"
    install -m 644 "$built/seclude-warden" "$to/share/seclude/apparmor.d/"
    install -m 644 "$capi/seccomp/seclude.json" "$to/share/seclude/seccomp/"
}

case ${1:-} in
build) build ;;
install) build && install_files ;;
*) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
