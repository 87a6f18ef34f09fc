#!/bin/bash
# Runs in a guest of another processor, beside the directories gnu and musl that check.sh has made:
# imports and runs each wheel, as root and as nobody. Prints "ok NAME" or "FAILED NAME".
set -u
here=$(cd "$(dirname "$0")" && pwd)
version=$(cat "$here/version")
log=/tmp/guest.log

check() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >$log 2>&1; then
        echo "ok $name"
    else
        echo "FAILED $name"
        sed 's/^/    /' $log
    fi
}

as() { # USER COMMAND...
    setpriv --reuid "$1" --regid "$1" --clear-groups env -i PATH=/usr/bin:/bin HOME=/tmp "${@:2}"
}

for user in 0 65534; do
    [ ! -d "$here/gnu" ] || check "wheels: $(uname -m), Debian 12, user $user" \
        as $user sh "$here/gnu/run-wheel.sh" /usr/bin/python3 "$here/gnu/site" "$version"
    [ ! -d "$here/musl" ] || check "wheels: $(uname -m), like Alpine, user $user" \
        /usr/bin/python3 "$here/enter.py" "$(cat "$here/root")" "$here/musl" $user \
        sh /mnt/run-wheel.sh /mnt/python/bin/python3 /mnt/site "$version"
done
