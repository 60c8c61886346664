"""
What a model's code may reach of the machine. A pickle is a program: its process has no secrets in its own environment, and here it loses the
way to those of others. It sees no process but those that it begins itself, so it can neither look into others (/proc/PID/environ) nor end
them, and the network is gone unless it was asked for.

An ordinary user gets a user namespace; root, whose files may belong to anybody, stays in its own. Both give up capabilities. What the
machine does not allow is said, and the model is served all the same.

Of one process three come, as of a step's runner (python/launcher): the one that was called waits and ends as the worker ends; the first of
the new process id space lives until the former is gone, takes its orphans, and with it the kernel ends whatever the model began, however
that hid; the worker goes on.
"""

import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
import sys

NEW_MOUNTS, NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x00020000, 0x10000000, 0x20000000, 0x40000000
OWN_PROCESSES = NEW_MOUNTS | NEW_PROCESSES
NO_SUID, NO_DEV, NO_EXEC, RECURSIVE, PRIVATE = 2, 4, 8, 16384, 1 << 18
SIGNAL_AT_PARENTS_DEATH, MAY_BE_DUMPED = 1, 4
CAPABILITIES_VERSION = 0x20080522
DROP_FROM_BOUNDS = 24
SET_FLAGS, UP = 0x8914, 1
# kill, setpcap, net_admin, net_raw, sys_module, sys_rawio, sys_ptrace, sys_admin, sys_boot, mknod, syslog, perfmon, bpf.
GIVEN_UP = (5, 8, 12, 13, 16, 17, 19, 21, 22, 27, 34, 38, 39)
# Sent to the worker's whole group, they are not meant for who waits for it.
SURVIVED = tuple(getattr(signal, "SIG" + name) for name in "TERM INT HUP QUIT USR1 USR2 ALRM VTALRM PROF ABRT".split())
# So early there are a handful.
MOST_OPEN = 256


def stand_apart(network, tell):
    """
    Returns in the process that shall go on, which may be another one than was called. To be called first: a process with a second thread
    may not do it.
    @param network whether the model may use it
    @param tell told before anything of the model begins: pid=… of that other process, as it is known outside, or lacks=…, in words
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        spaces, lacks, trying = ask_for_spaces(libc, network)
    except AttributeError as error:
        spaces, lacks, trying = 0, ["this system knows no namespaces (%s)" % error], None
    if lacks:
        text = "; ".join(lacks)
        sys.stderr.write("modelwright: this machine does not keep the model's process apart: %s\n" % text)
        tell(lacks=text)
    if spaces & NEW_PROCESSES:
        become_worker(libc, tell, trying)
    if sys.platform == "linux":
        try:
            give_up(libc)
        except (OSError, AttributeError) as error:
            sys.stderr.write("modelwright: the model's process keeps its capabilities: %s\n" % error)
        # Last: with another right to do something it is forgotten.
        die_with_parent(libc)


def ask_for_spaces(libc, network):
    """@returns which were given, what the model may do for want of others, and the child that tried"""
    refused, trying = try_own_processes(libc)
    if refused in (errno.EAGAIN, errno.ENOMEM):
        # Want of room is not want of right: whoever fills the machine must not loosen what is begun next.
        sys.exit("modelwright: the model's process cannot be kept apart now: %s" % os.strerror(refused))
    own = 0 if refused else OWN_PROCESSES
    given, why = None, None
    for spaces in (own if network else own | NEW_NETWORK, own):
        try:
            unshare(libc, spaces)
            given = spaces
            break
        except OSError as error:
            why = error
    if not (given or 0) & NEW_PROCESSES:
        os.waitpid(trying, 0)
    lacks = ["it may end processes of its user (%s)" % os.strerror(refused)] if refused else []
    if given is None:
        lacks.append("it may look into them (%s)" % why)
    if not network and not (given or 0) & NEW_NETWORK:
        lacks.append("it may use the network (%s)" % why)
    return given or 0, lacks, trying


def try_own_processes(libc):
    """
    In a child, because a process that asked for such a space cannot go back, and without a /proc that suits it, which some containers
    refuse, it must not be in one.
    @returns the number of the error, or 0; and the child, whose end takes longer than its answer
    """
    heard, answer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            unshare(libc, OWN_PROCESSES)
            first = os.fork()
            if first == 0:
                mount_own_processes(libc)
                os.write(answer, bytes([0]))
            else:
                os.waitpid(first, 0)
        except OSError as error:
            os.write(answer, bytes([error.errno]))
        finally:
            os._exit(0)
    os.close(answer)
    number = os.read(heard, 1)
    os.close(heard)
    return number[0] if number else errno.EPERM, child


def unshare(libc, spaces):
    """All of them or none."""
    uid, gid = os.geteuid(), os.getegid()
    check(libc.unshare(spaces if uid == 0 else spaces | NEW_USER))
    if uid != 0:
        for path, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid))):
            with open("/proc/self/" + path, "w") as file:
                file.write(text)
    if spaces & NEW_NETWORK:
        raise_loopback()


def raise_loopback():
    """Its own: Spark and others speak to their helpers through it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))


def become_worker(libc, tell, trying):
    """Returns in the worker alone."""
    die_with_parent(libc)
    caller_ends, held = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        keep_space(libc, caller_ends)
    os.close(caller_ends)
    worker = os.fork()
    if worker:
        tell(pid=worker)
        os.waitpid(trying, 0)
        end_as(worker, keeper, libc, held)
    os.close(held)
    mount_own_processes(libc)


def keep_space(libc, caller_ends):
    """The worker can look at it (/proc/1): it holds nothing open."""
    try:
        die_with_parent(libc)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        close_all_but(caller_ends)
        while os.read(caller_ends, 1):
            pass
    finally:
        os._exit(0)


def end_as(worker, keeper, libc, held):
    """By the same signal, or with the same code: who began this process learns what became of the worker."""
    try:
        for number in SURVIVED:
            signal.signal(number, signal.SIG_IGN)
        close_all_but(held)
        status = os.waitpid(worker, 0)[1]
        os.close(held)
        # With it goes all that the worker began: when this process has ended nothing is left.
        os.waitpid(keeper, 0)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            # The core is the worker's own, if there is one.
            libc.prctl(MAY_BE_DUMPED, 0, 0, 0, 0)
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        os._exit(os.WEXITSTATUS(status))
    finally:
        os._exit(1)


def close_all_but(kept):
    os.closerange(0, kept)
    os.closerange(kept + 1, MOST_OPEN)


def mount_own_processes(libc):
    check(libc.mount(None, b"/", None, ctypes.c_ulong(RECURSIVE | PRIVATE), None))
    check(libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(NO_SUID | NO_DEV | NO_EXEC), None))


def die_with_parent(libc):
    """Linux ends it with the gateway even where a native library holds the interpreter and no thread can run."""
    libc.prctl(SIGNAL_AT_PARENTS_DEATH, signal.SIGKILL, 0, 0, 0)


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
