"""
What a model's code may reach of the machine. A pickle is a program: its process has no secrets in its own environment, and here it loses the
way to those of others: it may not look into processes of the same user (/proc/PID/environ), and the network is gone unless it was asked for.

An ordinary user gets a user namespace of its own; root, whose files may belong to anybody, stays in its own and gives up capabilities. What
the machine does not allow is said, and the model is served all the same.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000
CAPABILITIES_VERSION = 0x20080522
DROP_FROM_BOUNDS = 24
SET_FLAGS, UP = 0x8914, 1
# kill, setpcap, net_admin, net_raw, sys_module, sys_rawio, sys_ptrace, sys_admin, sys_boot, mknod, perfmon, bpf.
GIVEN_UP = (5, 8, 12, 13, 16, 17, 19, 21, 22, 27, 38, 39)


def stand_apart(network):
    """To be called first: a process with a second thread may not do it. @param network whether the model may use it"""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        apart = as_root if os.geteuid() == 0 else as_user
        apart(libc, network)
    except (OSError, AttributeError) as error:
        warn = "modelwright: this machine does not keep the model's process apart (%s): it may look into processes of its user%s\n"
        sys.stderr.write(warn % (error, "" if network else " and use the network"))


def as_user(libc, network):
    uid, gid = os.geteuid(), os.getegid()
    check(libc.unshare(NEW_USER | (0 if network else NEW_NETWORK)))
    for path, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid))):
        with open("/proc/self/" + path, "w") as file:
            file.write(text)
    if not network:
        raise_loopback()


def as_root(libc, network):
    try:
        if not network:
            check(libc.unshare(NEW_NETWORK))
            raise_loopback()
    finally:
        give_up(libc)


def raise_loopback():
    """Its own: Spark and others speak to their helpers through it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))


def give_up(libc):
    """A process that lacks a capability which another has may not look into it."""
    for number in GIVEN_UP:
        libc.prctl(DROP_FROM_BOUNDS, number, 0, 0, 0)
    header = struct.pack("Ii", CAPABILITIES_VERSION, 0)
    data = ctypes.create_string_buffer(24)
    check(libc.capget(header, data))
    sets = list(struct.unpack("6I", data.raw))
    for number in GIVEN_UP:
        for kind in range(3):
            sets[number // 32 * 3 + kind] &= ~(1 << number % 32)
    check(libc.capset(header, struct.pack("6I", *sets)))


def check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
