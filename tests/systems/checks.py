"""What the software of a system does in sandboxes with its image: the rows of run.py.

Each script is one of the shell's, and runs as user 0 of the image. `text` is what it prints, among
other things. With one id, some scripts print something else, or fail. They must then fail with that
text, and not otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fails:
    """A script that ends with another status than 0, and says so."""

    text: str


@dataclass(frozen=True)
class Check:
    """A script, and what it does with many ids and with one."""

    name: str
    script: str
    text: str
    single: str | Fails | None = None
    """With one id, where that differs."""


@dataclass(frozen=True)
class System:
    """A system, and what is expected of it."""

    name: str
    checks: tuple[Check, ...]
    serve: str
    """Serves the files in /srv at port 8080, as the user of `server`."""
    fetch: str
    """Prints a file of the service, whose name takes the place of the braces."""
    server: str
    """The user that the service gives up root for, or nothing."""
    skipped: tuple[str, ...] = ()
    """What it cannot do, with the reason."""


INSTALL = """
mkdir -p /var/lib/dpkg/info
test -e /var/lib/dpkg/status || touch /var/lib/dpkg/status
dpkg -i /packages/plain.deb
seclude-plain
"""

COMPILE = """
mkdir /work && cd /work
cat >answer.c <<'END'
#include <stdio.h>
int main(void) { printf("the answer is %d\\n", 6 * 7); return 0; }
END
cc -O2 -Wall -Werror -o answer answer.c && ./answer
"""

USERS = (
    # With one id, no other has a number inside.
    Check("chown", "touch /f && chown 33:34 /f && stat -c %u:%g /f", "33:34", Fails("nvalid arg")),
    Check("su", "su nobody -s /bin/sh -c 'id -u'", "65534", Fails("peration not permitted")),
    Check("owners", "stat -c %U:%G /etc/shadow", "root:shadow", "root:root"),
)

DEBIAN = (
    Check("reading what only root may", "cut -d: -f1 /etc/shadow | head -n 1", "root"),
    Check("dpkg -i", INSTALL, "this is plain"),
    Check(
        "apt-get install, all as root",
        "apt-get -o APT::Sandbox::User=root install --yes /packages/second.deb && seclude-second",
        "this is second",
    ),
    Check(
        "apt-get install",
        "apt-get install --yes /packages/third.deb && seclude-third",
        "this is third",
        Fails("setgroups"),
    ),
    Check(
        "dpkg --remove",
        "dpkg --remove second && test ! -e /usr/bin/seclude-second && echo gone",
        "gone",
    ),
    # With one id, its files belong to that.
    Check(
        "useradd",
        "useradd --create-home ada && getent passwd ada && stat -c home:%U /home/ada",
        "home:ada",
        "home:root",
    ),
    Check(
        "su to a new user",
        "useradd bert && su bert -c whoami",
        "bert",
        Fails("peration not permitted"),
    ),
    Check(
        "install -o",
        "install -o mail /etc/hostname /g && stat -c %U /g",
        "mail",
        Fails("nvalid arg"),
    ),
    Check(
        "tar -x with owners",
        "mkdir /t && tar -C /etc --owner=33 --group=33 -cf /t/a.tar hostname && "
        "tar -C /t -xpf /t/a.tar && stat -c %u:%g /t/hostname",
        "33:33",
        Fails("nvalid arg"),
    ),
    Check("set-user-ID bits", "stat -c %a /usr/bin/su", "4755"),
    # The last one: with one id, dpkg then has a package that is not configured.
    Check(
        "a package with a user",
        "dpkg -i /packages/users.deb && stat -c %U:%G /var/lib/seclude-users",
        "seclude-users:mail",
        Fails("nvalid arg"),
    ),
)

SYSTEMS = (
    System(
        "debian12",
        (
            Check("release", ". /etc/os-release; echo $VERSION_CODENAME", "bookworm"),
            Check("a compiler", COMPILE, "the answer is 42"),
            *DEBIAN,
            *USERS,
        ),
        serve="exec busybox httpd -f -u www-data -p 8080 -h /srv",
        fetch="busybox wget -q -O - http://127.0.0.1:8080/{}",
        server="www-data",
    ),
    System(
        "debian13",
        (
            Check("release", ". /etc/os-release; echo $VERSION_CODENAME", "trixie"),
            Check("an interpreter", "python3 -c 'print(6 * 7, __import__(\"ssl\"))'", "42 <module"),
            *DEBIAN,
            *USERS,
        ),
        serve="exec python3 -m http.server --directory /srv 8080",
        fetch="python3 -c 'from urllib.request import urlopen as u;"
        ' print(u("http://127.0.0.1:8080/{}").read().decode())\'',
        server="",
        skipped=("a compiler: the image has none",),
    ),
    System(
        "alpine",
        (
            Check("a shell", "busybox | head -n 1; ls -l /lib/libc.musl-*", "BusyBox"),
            Check("dpkg -i", INSTALL, "this is plain"),
            *USERS[:2],
        ),
        serve="exec httpd -f -u nobody -p 8080 -h /srv",
        fetch="wget -q -O - http://127.0.0.1:8080/{}",
        server="nobody",
        skipped=("a compiler: the image has none",),
    ),
)
