#!/bin/sh
# Builds a CPython for another C library or processor, and prints its directory:
# packaging/cpython.sh TARGET
#
#   TARGET            as zig names it: x86_64-linux-gnu.2.17, x86_64-linux-musl, aarch64-linux-musl
#   SECLUDE_ROOTS     where it is kept (default: /var/tmp/seclude-roots)
#
# Neither Debian nor PyPI has such a CPython, so that wheels could be imported in other systems. The
# sources are Debian's, of the version that this machine's Python has: it helps to build. It has no
# module that needs a library besides libc, and none that no test uses. One that is there is not
# built again. The status is 77 if it cannot be built here.
set -eu
. "$(dirname "$0")/environment.sh"

[ $# = 1 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
triple=$1
host=${triple%%.*}
roots=${SECLUDE_ROOTS:-/var/tmp/seclude-roots}
number=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
made=$roots/cpython-$number-$triple
[ ! -e "$made/bin/python3" ] || { echo "$made"; exit; }

mkdir -p "$roots"
roots=$(cd "$roots" && pwd)
make_temporary "$roots/part"
place=$temporary
python_tools >&2
bash -c '. "$0/tests/vm/debian.sh"
    packages_of "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$1/apt"
    sed "s/^deb \[arch=[^ ]* /deb-src [/" "$1/apt/sources" >"$1/sources"
    cat "$1/sources" >>"$1/apt/sources"
    apt-get "${apt[@]}" update && cd "$1" && apt-get "${apt[@]}" source --download-only "$2"' \
    "$root" "$place" "python$number" >&2 || {
    echo "Debian's mirror has no sources of Python $number" >&2
    exit 77
}
mkdir "$place/source" "$place/build"
tar -C "$place/source" --strip-components=1 -xf "$place"/*.orig.tar.*

# configure takes a command without words for CC, and refuses the name readelf alone. setup.py asks
# the compiler for its directories. zig names those of this machine, which has other headers.
zig=$("$tools/bin/python" -c 'import ziglang; print(ziglang.__path__[0] + "/zig")')
cat >"$place/cc" <<END
#!/bin/sh
for word; do
    shift
    case \$word in
        -[IL]/usr/include* | -[IL]/usr/lib* | -[IL]/usr/local/*) ;;
        *) set -- "\$@" "\$word" ;;
    esac
done
exec "$zig" cc -target $triple -dynamic -Wno-date-time "\$@"
END
cat >"$place/ar" <<END
#!/bin/sh
exec "$zig" ar "\$@"
END
chmod +x "$place/cc" "$place/ar"
unset RUSTFLAGS
cd "$place/build"
# What takes long to compile, and no test uses. Then what needs a library besides libc: setup.py
# takes that of this machine, if it is installed for developers, when the processors are the same.
unused="_codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _multibytecodec"
unused="$unused _ctypes _decimal _elementtree pyexpat unicodedata audioop ossaudiodev xxlimited"
unused="$unused xxlimited_35 _xxsubinterpreters _lsprof spwd"
unused="$unused _bz2 _crypt _curses _curses_panel _dbm _gdbm _hashlib _lzma _sqlite3 _ssl _tkinter"
unused="$unused _uuid nis readline zlib"
# Three answers configure cannot find when it builds for another machine. zig's musl is newer than
# what a wheel for musl 1.2 may take for granted: Debian's 1.2.3 lacks the last two functions.
build() {
    env CC="$place/cc" AR="$place/ar" RANLIB=true READELF="$(command -v readelf)" \
        PKG_CONFIG=false CFLAGS="-O0 -g0 -fno-sanitize=undefined" \
        ac_cv_file__dev_ptmx=yes ac_cv_file__dev_ptc=no ac_cv_buggy_getaddrinfo=no \
        ac_cv_func_preadv2=no ac_cv_func_pwritev2=no \
        "$place/source/configure" --host="$host" --build="$(uname -m)-pc-linux-gnu" \
        --with-build-python="$python" --without-ensurepip --disable-test-modules \
        --with-system-expat --with-system-libmpdec --prefix=/opt/python &&
        echo "*disabled* $unused" | tr ' ' '\n' >Modules/Setup.local &&
        make -j"$(nproc)" &&
        make install DESTDIR="$place/out"
}
build >"$place/log" 2>&1 || {
    tail -n 40 "$place/log" >&2
    exit 1
}
# make does not fail for a module.
! grep -A 9 '^Failed to build these modules' "$place/log" >&2 || exit 1
rm -rf "$made" "$place/out/opt/python/lib/libpython$number.a"
mv "$place/out/opt/python" "$made"
echo "$made"
