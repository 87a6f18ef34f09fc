#!/bin/sh
# Builds libseclude and installs it: capi/build-library.sh build | install | uninstall
#
#   DESTDIR, PREFIX     where to install: $DESTDIR$PREFIX. The default of PREFIX is /usr/local.
#   LIBDIR              where in the prefix the libraries are: lib, or lib/x86_64-linux-gnu.
#   CARGO_TARGET_DIR    where cargo builds. The libraries are made in its directory seclude-capi.
#   SECLUDE_TARGET      x86_64-unknown-linux-musl or aarch64-unknown-linux-musl: builds the static
#                       library alone, for musl-gcc -static, in the directory of that target.
#
# This script links the shared library from the static one. A version script for a Rust cdylib does
# not work: lld ignores it, and bfd refuses it.
set -eu

capi=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$capi")
. "$root/packaging/place.sh"
. "$root/packaging/temporary.sh"
cargo=${CARGO:-cargo}
cc=${CC:-cc}
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-lib}
triple=${SECLUDE_TARGET:-}
target=${CARGO_TARGET_DIR:-$root/target}
built=$target${triple:+/$triple}/seclude-capi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
soname=libseclude.so.0

# The path from a directory of the prefix to the prefix: ../.. for lib/pkgconfig.
upwards() { echo "$1" | sed 's|[^/]\{1,\}|..|g'; }

# Fills in a template: FILE.in to the directory of what is built.
fill() { # TEMPLATE NAME DIRECTORY-IN-PREFIX STATIC-LIBRARIES
    sed -e "s|@VERSION@|$version|" -e "s|@STATIC_LIBS@|$4|" -e "s|@LIBDIR@|$libdir|" \
        -e "s|@UP@|$(upwards "$3")|" -e "s|@WARDEN@|$prefix/libexec/seclude/warden|" \
        "$1" >"$built/$2"
}

build_static() {
    (cd "$root" && "$cargo" rustc --quiet --release --package seclude-capi --lib --target "$triple")
    mkdir -p "$built"
    # A program's unwinder would be gcc's, which is made for glibc. Rust brings one for musl. An
    # older LLVM's plugin makes ar print a line for each member. It is not needed for the index.
    sysroot=$("${RUSTC:-rustc}" --print sysroot)
    printf '%s\n' "create $built/libseclude.a" "addlib $target/$triple/release/libseclude.a" \
        "addlib $sysroot/lib/rustlib/$triple/lib/self-contained/libunwind.a" save end |
        ar -M >/dev/null
    fill "$capi/seclude.pc.in" seclude.pc "$libdir/pkgconfig" ""
}

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
    fill "$capi/seclude.pc.in" seclude.pc "$libdir/pkgconfig" "$needs"
    for file in SecludeConfig SecludeConfigVersion; do
        fill "$capi/cmake/$file.cmake.in" "$file.cmake" "$libdir/cmake/Seclude" "$needs"
    done
    fill "$capi/apparmor/seclude-warden.in" seclude-warden . ""
}

# What both kinds of build have: the static library and its headers.
stage_static() {
    install -d "$stage/$libdir/pkgconfig" "$stage/include/seclude"
    install -m 644 "$built/libseclude.a" "$stage/$libdir/"
    install -m 644 "$root/include/seclude.h" "$stage/include/"
    install -m 644 "$root/include/seclude/testing.h" "$root/include/seclude/gtest.hpp" \
        "$stage/include/seclude/"
    install -m 644 "$built/seclude.pc" "$stage/$libdir/pkgconfig/"
}

stage_shared() {
    install -d "$stage/$libdir/cmake/Seclude" "$stage/libexec/seclude" \
        "$stage/share/seclude/apparmor.d" "$stage/share/seclude/seccomp" "$stage/share/man/man3"
    install -m 755 "$built/libseclude.so.$version" "$stage/$libdir/"
    strip --strip-unneeded "$stage/$libdir/libseclude.so.$version"
    ln -s "libseclude.so.$version" "$stage/$libdir/$soname"
    ln -s "$soname" "$stage/$libdir/libseclude.so"
    strip --strip-debug "$stage/$libdir/libseclude.a"
    install -m 644 "$built/SecludeConfig.cmake" "$built/SecludeConfigVersion.cmake" \
        "$capi/cmake/SecludeTesting.cmake" "$stage/$libdir/cmake/Seclude/"
    install -m 755 "$built/warden" "$stage/libexec/seclude/"
    install -m 644 "$built/seclude-warden" "$stage/share/seclude/apparmor.d/"
    install -m 644 "$capi/seccomp/seclude.json" "$stage/share/seclude/seccomp/"
    "$target/release/seclude-write-manual" "$stage/share/man/man3"
    chmod 644 "$stage"/share/man/man3/*
}

install_all() {
    make_temporary "${TMPDIR:-/tmp}/seclude-library"
    stage=$temporary
    chmod 755 "$stage"
    stage_static
    [ -n "$triple" ] || stage_shared
    place "$stage" library
}

case $triple in
'' | *-linux-musl) ;;
*) echo "SECLUDE_TARGET: only a musl target has a static library of its own: $triple" >&2; exit 2 ;;
esac
case ${1:-} in
build) build${triple:+_static} ;;
install)
    build${triple:+_static}
    install_all
    ;;
uninstall) unplace library ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
