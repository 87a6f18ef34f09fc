#!/bin/bash
# Checks that each script which works in a temporary directory removes it when SIGTERM ends the
# script: packaging/check-temporary.sh
#
# A tool that the script calls is replaced by one that waits. Meanwhile SIGTERM goes to the script
# with all its processes, as by Ctrl-C or timeout(1), and in a second run to the script alone.
# Nothing is built. Ends with "N passed, N failed".
set -euo pipefail
# Gives each script a process group.
set -m

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=packaging/temporary.sh
. "$top/packaging/temporary.sh"
make_temporary "${TMPDIR:-/tmp}/seclude-signals"
work=$temporary
passed=0 failed=0

# Some scripts write to their checkout. So this is a clone, with the scripts of the working tree.
clone=$work/seclude
git clone --quiet "$top" "$clone"
cp "$top"/packaging/*.sh "$clone/packaging/"
cp "$top/cli/build-program.sh" "$clone/cli/"
cp "$top/capi/build-library.sh" "$clone/capi/"

mkdir -p "$work/idle" "$work/tools/bin"
cat >"$work/waiting" <<END
#!/bin/sh
touch '$work/reached'
until [ -e '$work/go' ]; do sleep 0.05; done
exit 1
END
printf '#!/bin/sh\n' >"$work/idle/cargo"
# The environment of the tools looks up its Python like the other tools, so that it can wait too.
# shellcheck disable=SC2016  # the tool's own arguments
printf '#!/bin/sh\nexec tools-python "$@"\n' >"$work/tools/bin/python"
chmod +x "$work/waiting" "$work/idle/cargo" "$work/tools/bin/python"
for tool in ar rustup tools-python ../tools/bin/pip; do
    cp "$work/idle/cargo" "$work/idle/$tool"
done

# What the scripts have made, and not removed.
traces() {
    find "$work/temporary" "$clone/python/seclude.data" -mindepth 1 -maxdepth 1 2>/dev/null || :
}

# removes NAME TOOL COMMAND...: runs a script until it waits for the tool, and ends it.
removes() {
    local name=$1 tool=$2 to group status before after
    shift 2
    for to in group process; do
        rm -rf "$work/temporary" "$work/slow" "$work/reached" "$work/go" \
            "$clone/python/seclude.data"
        mkdir -p "$work/temporary" "$work/slow" "$clone/python/seclude.data"
        # The backend makes it when a wheel or a source distribution is built.
        case $name in wheels | sdist) touch "$clone/python/seclude.data/file" ;; esac
        ln -s "$work/waiting" "$work/slow/$tool"
        env -u CARGO_TARGET_DIR -u SECLUDE_MADE -u VM_MIRROR CARGO=cargo TMPDIR="$work/temporary" \
            SECLUDE_ROOTS="$work/temporary" SECLUDE_TOOLS="$work/tools" DESTDIR="$work/installed" \
            PATH="$work/slow:$work/idle:$PATH" "$@" >"$work/log" 2>&1 </dev/null &
        group=$!
        until [ -e "$work/reached" ] || ! kill -0 $group 2>/dev/null; do sleep 0.05; done
        before=$(traces)
        case $to in
            group) kill -TERM -- -$group || : ;;
            process)
                kill -TERM $group || :
                # The script ends after the tool.
                touch "$work/go"
                ;;
        esac
        status=0
        wait $group || status=$?
        # A script that did not wait for the tool has left it.
        kill -KILL -- -$group 2>/dev/null || :
        after=$(traces)
        if [ -n "$before" ] && [ -z "$after" ] && [ $status = 143 ]; then
            passed=$((passed + 1))
            echo "ok $name: SIGTERM to the $to"
        else
            failed=$((failed + 1))
            echo "FAILED $name: SIGTERM to the $to: status $status"
            printf '    before: %s\n    after: %s\n' "${before:-nothing}" "${after:-nothing}"
            sed 's/^/    /' "$work/log"
        fi
    done
}

: >"$work/archive.tar.gz"
scripts=$clone/packaging
removes contents tar sh "$scripts/contents.sh" "$work/archive.tar.gz"
removes check tar sh "$scripts/check.sh" "$work" c
removes debs cargo sh "$scripts/debs.sh" "$work/made"
removes tarballs cargo sh "$scripts/tarballs.sh" "$work/made"
removes sdist tools-python sh "$scripts/sdist.sh" "$work/made"
removes wheels rustup env PYTHON=true sh "$scripts/wheels.sh" "$work/made"
removes reproduce cargo sh "$scripts/reproduce.sh" crates
removes roots apt-get bash "$scripts/roots.sh" alpine-x86_64
removes cpython apt-get sh "$scripts/cpython.sh" x86_64-linux-musl
removes program cargo sh "$clone/cli/build-program.sh" install
removes library install env SECLUDE_TARGET=x86_64-unknown-linux-musl \
    sh "$clone/capi/build-library.sh" install
echo "$passed passed, $failed failed"
[ $failed = 0 ]
