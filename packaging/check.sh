#!/bin/sh
# Tests the artefacts that packaging/all.sh has made: packaging/check.sh DIRECTORY [PART...]
#
# Installs each one where nothing of this checkout is found, and runs what it brought. A PART is c,
# debs, sdist or wheels. Without one it tests all. (The crates are built from their packed files
# when they are made.) Wheels are also run in other systems' roots (packaging/roots.sh).
#
#   SECLUDE_CPYTHON   a prefix with a CPython that runs with glibc 2.31, for the root of Debian 11.
#                     By default packaging/cpython.sh builds one.
#
# Ends with "N passed, N failed, N skipped".
set -u
. "$(dirname "$0")/environment.sh"

[ $# -gt 0 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
made=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- c debs sdist wheels
# Programs must find no library of this checkout, nor the flags of its build.
unset RUSTFLAGS CARGO_TARGET_DIR LD_LIBRARY_PATH PKG_CONFIG_PATH PYTHONPATH
SECLUDE_TOOLS=$tools
export SECLUDE_TOOLS
arch=$(uname -m)
make_temporary "${TMPDIR:-/var/tmp}/seclude-artefacts"
work=$temporary
chmod 755 "$work"
passed=0 failed=0 skipped=0

# The variables of a function are those of the script: no other one may be named so.
check() { # NAME COMMAND...
    checked=$1
    shift
    if "$@" >"$work/log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        echo "ok $checked"
    else
        failed=$((failed + 1))
        echo "FAILED $checked"
        sed 's/^/    /' "$work/log"
    fi
}

skip() { # NAME REASON
    skipped=$((skipped + 1))
    echo "SKIPPED $1: $2"
}

strict="-std=c11 -Wall -Wextra -Wpedantic -Werror"

# The prefix $1, of a library in $2 below it: programs by pkg-config, shared and static.
by_pkg_config() { # PREFIX LIBDIR NAME
    export PKG_CONFIG_PATH="$1/$2/pkgconfig"
    # shellcheck disable=SC2046,SC2086
    check "$3: a program by pkg-config" cc $strict "$root/examples-c/hello.c" -o "$work/hello" \
        $(pkg-config --cflags --libs seclude) "-Wl,-rpath,$1/$2"
    check "$3: it runs" "$work/hello"
    # shellcheck disable=SC2046,SC2086
    check "$3: a static program" cc -static $strict "$root/examples-c/hello.c" \
        -o "$work/hello-static" $(pkg-config --static --cflags --libs seclude)
    check "$3: it runs without a library" env -i "$work/hello-static"
    unset PKG_CONFIG_PATH
}

by_cmake() { # PREFIX NAME
    mkdir -p "$work/cmake"
    cp "$root/examples-c/hello.c" "$work/cmake/"
    cat >"$work/cmake/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.16)
project(hello C)
find_package(Seclude 0.1.0 REQUIRED CONFIG)
add_executable(hello hello.c)
target_link_libraries(hello PRIVATE Seclude::seclude)
END
    check "$2: CMake finds it" cmake -S "$work/cmake" -B "$work/cmake/build" \
        "-DCMAKE_PREFIX_PATH=$1"
    check "$2: CMake builds with it" cmake --build "$work/cmake/build"
    check "$2: that program runs" "$work/cmake/build/hello"
    rm -rf "$work/cmake"
}

command_runs() { # PROGRAM NAME
    check "$2: the command says its version" sh -c "'$1' --version | grep -q '$version'"
    check "$2: the command runs a program" sh -c "test \"\$('$1' run -- echo inside)\" = inside"
}

manual() { # DIRECTORY-WITH-man NAME: each function of the header has a page that groff accepts
    for page in libseclude seclude_sandbox_new seclude_pool_close seclude seclude-run; do
        check "$2: the page $page" sh -c \
            "MANPATH='$1/man' MANROFFSEQ= man --warnings '$page' 2>'$work/warnings' |
            grep -q NAME && ! grep . '$work/warnings'"
    done
}

c() {
    name=seclude-$version-$arch-linux-gnu
    tar -C "$work" -xzf "$made/c/$name.tar.gz"
    by_pkg_config "$work/$name" lib "$name"
    by_cmake "$work/$name" "$name"
    command_runs "$work/$name/bin/seclude" "$name"
    manual "$work/$name/share" "$name"
    for script in cli/build-program.sh capi/build-library.sh; do
        check "$name: $script uninstalls it" env PREFIX="$work/$name" sh "$root/$script" uninstall
    done
    check "$name: only the documents stay" sh -c \
        "find '$work/$name' ! -type d | ( ! grep -v '^$work/$name/share/doc/seclude/' )"

    name=seclude-$version-$arch-linux-musl
    tar -C "$work" -xzf "$made/c/$name.tar.gz"
    command_runs "$work/$name/bin/seclude" "$name"
    if command -v musl-gcc >/dev/null; then
        # shellcheck disable=SC2046,SC2086
        check "$name: a program by musl-gcc" musl-gcc -static $strict "$root/examples-c/hello.c" \
            -o "$work/hello-musl" $(PKG_CONFIG_PATH=$work/$name/lib/pkgconfig pkg-config --static \
            --cflags --libs seclude)
        check "$name: it runs" env -i "$work/hello-musl"
    else
        skip "$name: a program by musl-gcc" "no musl-gcc here"
    fi
    check "seclude-$version.tar.gz has the sources" sh -c \
        "tar -tzf '$made/c/seclude-$version.tar.gz' | grep -qx 'seclude-$version/core/build.rs'"
}

debs() {
    multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
    check "debs: lintian has nothing to say" lintian --allow-root --fail-on=warning,error \
        "$made"/debs/*.deb
    for package in libseclude0 libseclude-dev seclude; do
        check "$package: it unpacks" dpkg-deb -x "$(echo "$made/debs/${package}_$version"-*.deb)" \
            "$work/debian"
    done
    check "the names of the packages' files differ" sh -c \
        "for file in '$made'/debs/*.deb; do dpkg-deb -c \$file; done | grep -v '/\$' |
        awk '{print \$6}' | sort | uniq -d | ( ! grep . )"
    by_pkg_config "$work/debian/usr" "lib/$multiarch" debs
    by_cmake "$work/debian/usr" debs
    command_runs "$work/debian/usr/bin/seclude" debs
    manual "$work/debian/usr/share" debs

    # dpkg itself, with a database of its own. The packages that these depend on are not in it.
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$work/dpkg/var/lib/dpkg/info" "$work/dpkg/var/lib/dpkg/updates"
        : >"$work/dpkg/var/lib/dpkg/status"
        (cd "$work/dpkg" && find . ! -path './var/lib/dpkg*' | sort) >"$work/before"
        own="dpkg --root=$work/dpkg --log=/dev/null --force-depends --no-triggers"
        # shellcheck disable=SC2086  # words of a command
        check "debs: dpkg installs them" $own --install "$made"/debs/*.deb
        check "debs: the command that it has installed runs" "$work/dpkg/usr/bin/seclude" --version
        # shellcheck disable=SC2086
        check "debs: dpkg removes them" $own --purge seclude libseclude-dev libseclude0
        check "debs: nothing stays" sh -c "cd '$work/dpkg' && find . ! -path './var/lib/dpkg*' |
            sort | diff '$work/before' -"
    else
        skip "debs: dpkg installs and removes them" "only root can"
    fi
}

# Installs it, and runs the package and the command.
installed() { # PYTHON ARGUMENTS-OF-PIP...
    interpreter=$1
    shift
    "$interpreter" -m venv "$work/venv" &&
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$@" &&
        (cd / && "$work/venv/bin/python" -P -W error "$root/python/tests/smoke.py")
}

# The time that ended children of this script have had a processor, in the kernel too, in seconds:
# cutime and cstime of proc(5). In the shell of `$(...)`, `$$` still is the number of the script.
processor_seconds() {
    awk -v hertz="$(getconf CLK_TCK)" '{ print int(($16 + $17) / hertz) }' "/proc/$$/stat"
}

sdist() {
    # Nothing but the machine's Rust and C compiler: the path has no tool of the build.
    path=$(dirname "$(command -v "$cargo")"):/usr/bin:/bin
    began=$(date +%s) before=$(processor_seconds)
    check "sdist: pip builds and installs it" env PATH="$path" CARGO_TARGET_DIR="$work/sdist" \
        sh -c "'$python' -m venv '$work/venv' && '$work/venv/bin/pip' install --verbose \
            --disable-pip-version-check '$made/python/seclude-$version.tar.gz'"
    # Figures, not limits: the first is that of a machine and of what else runs there.
    echo "   in $(($(date +%s) - began)) s, on $(nproc) processors, at a load of" \
        "$(cut -d ' ' -f 2 /proc/loadavg);" \
        "$(($(processor_seconds) - before)) s of a processor"
    cp "$work/log" "$work/sdist-log"
    check "sdist: pip --verbose shows how far the build is" grep 'Compiling seclude' \
        "$work/sdist-log"
    check "sdist: the package runs" "$work/venv/bin/python" -P -W error \
        "$root/python/tests/smoke.py"
    rm -rf "$work/venv" "$work/sdist"
}

wheels() {
    check "wheels: each is what its name says" "$python" "$root/packaging/check-wheel.py" \
        "$made"/python/*.whl
    wheel=$(echo "$made"/python/seclude-"$version"-*manylinux*_"$arch".whl)
    versions=
    for candidate in "$python" /usr/bin/python3.[0-9]* /usr/local/bin/python3.[0-9]* \
        "$HOME"/.pyenv/versions/*/bin/python; do
        number=$("$candidate" -c 'import sys
if sys.version_info >= (3, 11) and sys.implementation.name == "cpython":
    print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
        case " $versions " in *" $number "*) continue ;; esac
        [ -n "$number" ] || continue
        versions="$versions $number"
        check "wheels: CPython $number" installed "$candidate" --no-deps --no-index "$wheel"
        command_runs "$work/venv/bin/seclude" "wheels: CPython $number"
        rm -rf "$work/venv"
    done
    [ -n "$versions" ] || skip "wheels: to import one" "no CPython from 3.11 on here"
    wheel=$(echo "$made"/python/seclude-"$version"-*musllinux*_"$arch".whl)
    check "wheels: the musl one unpacks" "$python" -m zipfile -e "$wheel" "$work/musl"
    chmod 755 "$work/musl/seclude-$version.data/scripts/seclude"
    command_runs "$work/musl/seclude-$version.data/scripts/seclude" "wheels: musl"
    in_root debian11 "Debian 11" "manylinux2014_$arch" "$arch-linux-gnu.2.17"
    in_root "alpine-$arch" "like Alpine" "musllinux_1_2_$arch" "$arch-linux-musl"
    emulated
}

# Installs the wheel for the tag $2 in the directory $1, as the pip of that system would, with what
# runs it.
for_root() { # DIRECTORY TAG
    [ -x "$work/pip/bin/pip" ] || "$python" -m venv "$work/pip" || return
    mkdir -p "$1"
    cp "$root/python/tests/smoke.py" "$root/packaging/run-wheel.sh" "$1/"
    "$work/pip/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-index \
        --target "$1/site" --platform "$2" --only-binary=:all: --implementation cp --abi abi3 \
        --python-version 3.11 "$made"/python/seclude-"$version"-*"$2"*.whl
}

# Runs a command whose output is a directory, and sets $found to that. Otherwise skips NAME.
obtain() { # NAME REASON COMMAND...
    skipped_name=$1 reason=$2
    shift 2
    found=$("$@" 2>"$work/log") && return
    skip "$skipped_name" "$reason: $(tail -n 1 "$work/log")"
    return 1
}

# Imports and runs a wheel in another root, as root and as nobody.
in_root() { # SYSTEM NAME TAG TARGET-OF-CPYTHON
    if [ "$(id -u)" != 0 ]; then
        skip "wheels: $2" "only root can enter another root"
        return
    fi
    obtain "wheels: $2" "no root" bash "$root/packaging/roots.sh" "$1" || return
    system=$found
    if [ "$1" = debian11 ] && [ -n "${SECLUDE_CPYTHON:-}" ]; then
        found=$SECLUDE_CPYTHON
    else
        obtain "wheels: $2" "no CPython" sh "$root/packaging/cpython.sh" "$4" || return
    fi
    place=$work/in-$1
    check "wheels: $2: pip installs it" for_root "$place" "$3"
    cp -a "$found" "$place/python"
    for user in 0 65534; do
        check "wheels: $2, user $user" "$python" "$root/packaging/enter.py" "$system" "$place" \
            $user sh /mnt/run-wheel.sh /mnt/python/bin/python3 /mnt/site "$version"
    done
}

# Imports and runs the wheels for aarch64 in a virtual machine, whose processor is emulated.
emulated() {
    [ "$arch" != aarch64 ] || return 0
    name="wheels: aarch64"
    export VM_ARCH=aarch64
    obtain "$name" "no emulator" sh "$root/tests/needs-vm.sh" &&
        obtain "$name" "no guest" bash "$root/tests/vm/guest-root.sh" &&
        obtain "$name" "no kernel" bash "$root/tests/vm/kernels.sh" 6.1 || return
    kernel=$found guest=$work/guest
    mkdir -p "$guest"
    cp "$root/packaging/guest.sh" "$root/packaging/enter.py" "$guest/"
    echo "$version" >"$guest/version"
    check "$name: pip installs it" for_root "$guest/gnu" manylinux2014_aarch64
    set -- -s "$guest"
    name="wheels: aarch64, like Alpine"
    if obtain "$name" "no root" bash "$root/packaging/roots.sh" alpine-aarch64; then
        echo "$found" >"$guest/root"
        set -- "$@" -s "$found"
        if obtain "$name" "no CPython" sh "$root/packaging/cpython.sh" aarch64-linux-musl; then
            check "$name: pip installs it" for_root "$guest/musl" musllinux_1_2_aarch64
            cp -a "$found" "$guest/musl/python"
        fi
    fi
    "$root/tests/vm/boot.sh" -t 1500 "$@" "$kernel" root "$guest/guest.sh" >"$work/guest.log" 2>&1
    cat "$work/guest.log"
    passed=$((passed + $(grep -c '^ok ' "$work/guest.log")))
    failed=$((failed + $(grep -c '^FAILED ' "$work/guest.log")))
    check "wheels: aarch64: the guest has run them" grep -q '^ok ' "$work/guest.log"
    unset VM_ARCH
}

for part in "$@"; do
    step "$part"
    "$part"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
