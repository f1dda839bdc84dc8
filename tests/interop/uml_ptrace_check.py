#!/usr/bin/python3
"""Sets a part of the registers of a process that it traces; prints "kept", "changed" or "refused".

Without uml_ptrace.c the kernel refuses that, with it the registers are as before. SPDX-License-Identifier: ISC
"""
import ctypes
import errno
import os
import signal

TRACEME, GETREGSET, SETREGSET = 0, 0x4204, 0x4205
XSTATE = 0x202      # NT_X86_XSTATE
PART = 576          # the legacy area and the header, which every processor has

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def regset(request, pid, buffer):
    """Returns how many octets were transferred; raises OSError."""
    vector = Vector(ctypes.addressof(buffer), len(buffer))
    if libc.ptrace(ctypes.c_long(request), ctypes.c_int(pid), ctypes.c_void_p(XSTATE), ctypes.byref(vector)):
        raise OSError(ctypes.get_errno(), "ptrace")
    return vector.size


def check(pid):
    before, after, part = (ctypes.create_string_buffer(n) for n in (16384, 16384, PART))
    whole = regset(GETREGSET, pid, before)
    assert regset(GETREGSET, pid, part) == PART < whole and part.raw == before.raw[:PART]
    try:
        regset(SETREGSET, pid, part)
    except OSError as error:
        return "refused" if error.errno == errno.EFAULT else str(error)
    regset(GETREGSET, pid, after)
    return "kept" if after.raw == before.raw else "changed"


def main():
    child = os.fork()
    if child == 0:
        libc.ptrace(ctypes.c_long(TRACEME), ctypes.c_int(0), None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, 0)
    try:
        print(check(child))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


main()
