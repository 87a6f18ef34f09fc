"""Runs a program where no namespace can be made.

Usage: denied.py PROGRAM ARGUMENTS. A filter refuses unshare(2), clone3(2), and clone(2) with a flag of
a namespace. Only for x86_64.
"""

import ctypes
import os
import struct
import sys

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
# BPF: code, jump if true, jump if false, operand.
PROGRAM = [
    (0x20, 0, 0, 0),  # load the number of the call
    (0x15, 5, 0, 272),  # unshare: EPERM
    (0x15, 5, 0, 435),  # clone3: ENOSYS, so that libc takes clone
    (0x15, 0, 2, 56),  # not clone: allow
    (0x20, 0, 0, 16),  # load its flags
    (0x45, 1, 0, 0x7E02_0000),  # a namespace: EPERM
    (0x06, 0, 0, 0x7FFF_0000),
    (0x06, 0, 0, 0x0005_0001),
    (0x06, 0, 0, 0x0005_0026),
]


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in PROGRAM))
    program = struct.pack("HP", len(PROGRAM), ctypes.addressof(text))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program
    ):
        sys.exit(f"the filter cannot be loaded: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[1], sys.argv[1:])


main()
