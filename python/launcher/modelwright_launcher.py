"""
Begins steps for the server, which is too large to fork often. `python3 -I -S modelwright_launcher.py` reads one request a line from its
standard input (`ID JSON`) and tells on its standard output, one line each, and first of all, what it can hide from a command:
  veil JSON           {"kind": "root" | "user"}, {"why": "…"}, or {"noRoom": "…"}, and then it ends
  started ID PID      the step's runner has written its record; the command is about to begin
  refused ID ERRNO …  nothing was begun, for this reason
  gone ID             the runner has ended
and on descriptor 3
  ended ID            the journal says how the command ended; the runner is on its way out, for which the kernel takes as long as for a step
It ends when its input does. Runners stay: each leads a session of its own, and what it wrote down is all that a server needs.

The runner (one fork, no exec) keeps the journal of its step, `started PID STARTTICKS BOOTID SINCETICKS` and later `ended CODE`, both in
one file: a full disk still has room in a block that is already there. The first line comes into being with the file's name, by a link: of
two runners in one folder one wins, and nobody ever sees half a line. SINCETICKS is when the step began, for a runner is forked before that:
one waits for the next request while nobody waits for it.

It holds the standard output open until its record stands. Whoever reads to the end of it after this process has died knows
that what was not told as started never will be: a runner that waits sees this process's end, and ends too.

Only what Python 3.6 knows, without its site packages.
"""

import ctypes
import errno
import gc
import json
import os
import resource
import select
import signal
import time

NEW_MOUNTS, NEW_USER, NEW_PROCESSES = 0x00020000, 0x10000000, 0x20000000
READ_ONLY, NO_SUID, NO_DEV, NO_EXEC, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
# Of statvfs and mount alike, but for relatime, which a remount keeps by itself.
KEPT = NO_SUID | NO_DEV | NO_EXEC | os.ST_NOATIME | os.ST_NODIRATIME
libc = ctypes.CDLL(None, use_errno=True)

SIGNAL_AT_PARENTS_DEATH = 1

# Through these a runner lives on, so that it can record how its command took them.
SURVIVED = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
# Python itself ignores these, and what is ignored stays so in the command.
OF_PYTHON = [signal.SIGPIPE, signal.SIGXFSZ]

# What may be there again in a moment: processes, memory, namespaces, descriptors.
PASSING = [errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EMFILE, errno.ENFILE]

# A runner has a handful of files open.
MOST_OPEN = 256

EXISTS, CANNOT_RUN, NOT_FOUND, NO_STEP = 97, 126, 127, 125

# Where a runner says that its journal is whole; open in runners for as long as they live, unlike the standard output.
ENDINGS = 3
TICKS_PER_SECOND = 100
# time.CLOCK_BOOTTIME, which Python has a name for since 3.7
SINCE_BOOT = 7
# After so long without a request there is time to fork the runner of the next one.
REST_MS = 20


def serve():
    """Requests in, notices out; one thread, which never waits for a step."""
    os.set_inheritable(ENDINGS, False)
    veil = try_veil()
    tell(1, "veil " + json.dumps(veil))
    if "noRoom" in veil:
        return
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    runners = Runners(boot, (woken, wake))
    runners.prepare()
    rest = b""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll(REST_MS if runners.is_due else None)]
        if woken in ready:
            read_all(woken)
            runners.tell_gone()
        if 0 in ready:
            chunk = os.read(0, 1 << 20)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                runners.begin(line)
        else:
            runners.prepare()


def read_all(fd):
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass


class Runners:
    """Those that run, and the one that waits for the next request."""

    def __init__(self, boot, own):
        self.boot, self.own = boot, own
        self.running = {}
        self.next = None
        self.is_due = True

    def prepare(self):
        """While nobody waits for it."""
        if not self.is_due:
            return
        self.is_due = False
        try:
            self.next = self.fork()
        except OSError:
            pass

    def begin(self, line):
        number = int(line.split(b" ", 1)[0])
        try:
            pid, request = self.next or self.fork()
        except OSError as error:
            tell(1, "refused %d %d %s" % (number, error.errno, error.strerror))
            return
        self.next = None
        self.is_due = True
        self.running[pid] = number
        try:
            write_all(request, line + b"\n")
        except OSError:
            # It has died; that it is gone will be told.
            pass
        os.close(request)

    def fork(self):
        """A runner, and where it reads its request."""
        end, request = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(request)
            os.close(end)
            raise
        if pid:
            os.close(end)
            return pid, request
        try:
            signal.set_wakeup_fd(-1)
            for fd in self.own + (request,):
                os.close(fd)
            live(end, self.boot)
        finally:
            os._exit(NO_STEP)

    def tell_gone(self):
        while self.running or self.next:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if self.next and pid == self.next[0]:
                os.close(self.next[1])
                self.next = None
            if pid in self.running:
                tell(1, "gone %d" % self.running.pop(pid))


def write_all(fd, content):
    while content:
        content = content[os.write(fd, content) :]


def tell(fd, line):
    """One write of less than a pipe's atom: lines of several processes do not mix. A server that is gone hears nothing."""
    try:
        os.write(fd, (line[:500] + "\n").encode())
    except OSError:
        pass


def live(end, boot):
    """A runner's life: it waits for its request, or for the end of who would make it."""
    # To look for garbage would be to copy every page that it shares.
    gc.disable()
    os.setsid()
    for number in SURVIVED:
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    notices = os.dup(1)
    replace(0, "/dev/null", os.O_RDONLY)
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(end, 1 << 20)
        if not chunk:
            os._exit(0)
        line += chunk
    os.close(end)
    number, request = line.split(b" ", 1)
    step, number = json.loads(request.decode()), int(number)
    status = NO_STEP
    try:
        status = run(step, number, boot, notices)
    except BaseException as error:
        why = error.errno if isinstance(error, OSError) else 0
        tell(notices, "refused %d %d %r" % (number, why or 0, error))
    finally:
        os._exit(status)


def run(step, number, boot, notices):
    """Once its command is over, nothing is told but that the journal says it."""
    replace(1, step["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(1, 2)
    os.chdir(step["cwd"])
    journal = open_journal(step["journal"], boot)
    if journal is None:
        tell(notices, "refused %d %d" % (number, errno.EEXIST))
        return EXISTS
    tell(notices, "started %d %d" % (number, os.getpid()))
    os.close(notices)
    try:
        code = carry_out(step)
    except OSError as error:
        complain(error)
        code = None if error.errno in PASSING else NO_STEP
    if code is None:
        # Without a second line in the journal the step counts as lost, and is tried again.
        return NO_STEP
    os.write(journal, b"ended %d\n" % code)
    tell(ENDINGS, "ended %d" % number)
    return 0


def replace(fd, path, flags):
    opened = os.open(path, flags, 0o666)
    os.dup2(opened, fd)
    os.close(opened)


def open_journal(path, boot):
    """None where another runner was first."""
    own = "%s.%d" % (path, os.getpid())
    journal = os.open(own, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open("/proc/self/stat") as file:
            # proc(5): the second field may itself hold brackets and spaces.
            ticks = file.read().rpartition(")")[2].split()[19]
        since = int(time.clock_gettime(SINCE_BOOT) * TICKS_PER_SECOND)
        os.write(journal, ("started %d %s %s %d\n" % (os.getpid(), ticks, boot, since)).encode())
        os.link(own, path)
    except FileExistsError:
        return None
    finally:
        os.unlink(own)
    return journal


def carry_out(step):
    """The command's exit status; None where its process id space was taken from it, which is no end of its own."""
    veil = step.get("veil")
    step["runner"] = os.getpid()
    keeper = None
    ready, drawn = os.pipe()
    if veil is not None:
        if veil["kind"] == "user":
            become_root_inside()
        check(libc.unshare(NEW_MOUNTS | NEW_PROCESSES), "unshare")
        keeper = begin_apart()
    command = os.fork()
    if command == 0:
        os.close(drawn)
        become(step, veil, ready)
    os.close(ready)
    if veil is not None:
        # While its process comes into being; it waits for this.
        draw(veil)
    os.write(drawn, b"!")
    os.close(drawn)
    code = code_of(wait_for(command))
    if keeper is not None:
        # With it the kernel ends all that the command started, whatever that did to hide; the wait is over when they are.
        pid, held = keeper
        os.close(held)
        if os.WIFSIGNALED(wait_for(pid)):
            return None
    return code


def wait_for(pid):
    return os.waitpid(pid, 0)[1]


def code_of(status):
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def begin_apart():
    """
    The first process of the process id space: it only lives until its pipe is closed, by the runner, or by the runner's death.
    What is orphaned in there is taken off it by the kernel. The command can look at it (/proc/1), so it shares the mounts, and with them
    the veil, and holds nothing open.
    """
    end, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            die_with_parent()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            os.close(held)
            for fd in (0, 1, 2):
                replace(fd, "/dev/null", os.O_RDWR)
            os.closerange(3, end)
            os.closerange(end + 1, end + MOST_OPEN)
            os.chdir("/")
            while os.read(end, 1):
                pass
        finally:
            os._exit(0)
    os.close(end)
    return pid, held


def become_root_inside():
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(NEW_USER), "unshare")
    map_user("0 %d 1" % uid, "0 %d 1" % gid)


def become_itself_again(uid, gid):
    """A namespace in which it may no longer mount."""
    check(libc.unshare(NEW_USER), "unshare")
    map_user("%d 0 1" % uid, "%d 0 1" % gid)


def map_user(uid_map, gid_map):
    for path, text in (("setgroups", "deny"), ("uid_map", uid_map), ("gid_map", gid_map)):
        fd = os.open("/proc/self/" + path, os.O_WRONLY)
        os.write(fd, text.encode())
        os.close(fd)


def become(step, veil, ready):
    """From the runner's copy to the command; says in the log why it could not. `ready`: where it hears that the veil is drawn."""
    status = NO_STEP
    try:
        # What it sends to its own group (`kill 0`) must not reach the runner. The session stays: by that its processes are found.
        os.setpgid(0, 0)
        die_with_parent()
        if veil is None and os.getppid() != step["runner"]:
            os._exit(NO_STEP)
        enter(step.get("groups") or [])
        if step.get("addressSpaceBytes"):
            resource.setrlimit(resource.RLIMIT_AS, (step["addressSpaceBytes"],) * 2)
        if not os.read(ready, 1):
            os._exit(NO_STEP)
        if veil is not None:
            go_behind(veil, step["cwd"])
            # Anew: with another user namespace it may be forgotten.
            die_with_parent()
        status = CANNOT_RUN
        for number in SURVIVED + OF_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        os.execve("/bin/sh", ["/bin/sh", "-c", step["command"]], step["env"])
    except FileNotFoundError as error:
        status = NOT_FOUND if status == CANNOT_RUN else status
        complain(error)
    except BaseException as error:
        complain(error)
    finally:
        os._exit(status)


def die_with_parent():
    """
    The kernel kills this process with the runner, before anybody can see that the runner is gone: what is not killed by then could run
    beside the next attempt. What it started itself goes with the process id space, or is found by its mark.
    """
    check(libc.prctl(SIGNAL_AT_PARENTS_DEATH, signal.SIGKILL, 0, 0, 0), "prctl")


def complain(error):
    os.write(2, ("modelwright: the step could not be begun: %s\n" % error).encode())


def enter(groups):
    for path in groups:
        fd = os.open(path, os.O_WRONLY)
        # 0 is who writes it.
        os.write(fd, b"0")
        os.close(fd)


def draw(veil):
    """
    For all who share this process's mounts: hides and shows, outer before inner. What is shown is reached through a descriptor that was
    opened before anything was hidden; what hides a folder is an empty one in memory, in which the points to show things at can be made.
    """
    mount(None, "/", None, RECURSIVE | PRIVATE)
    shown = {one["at"]: os.open(one["at"], os.O_PATH) for one in veil["mounts"] if one["kind"] != "hide"}
    hidden = [one["at"] for one in veil["mounts"] if one["kind"] == "hide"]
    for one in veil["mounts"]:
        at = one["at"]
        if one["kind"] == "hide":
            mount("none", at, "tmpfs", NO_SUID | NO_DEV, "mode=755")
            continue
        make_point(at, shown[at])
        mount("/proc/self/fd/%d" % shown[at], at, None, BIND | RECURSIVE)
        if one["kind"] == "show read-only":
            # What the mount around it forbids may not be allowed again.
            mount("none", at, None, REMOUNT | BIND | READ_ONLY | (os.statvfs(at).f_flag & KEPT))
    for at in hidden:
        mount("none", at, None, REMOUNT | BIND | READ_ONLY | NO_SUID | NO_DEV)
    for fd in shown.values():
        os.close(fd)


def go_behind(veil, cwd):
    """From inside the new process id space: only so its own processes, and no others, are in /proc."""
    mount("proc", "/proc", "proc", NO_SUID | NO_DEV | NO_EXEC)
    # Anew: through the old working folder `..` would lead behind the veil.
    os.chdir(cwd)
    if veil["kind"] == "user":
        become_itself_again(*veil["user"])


def make_point(at, fd):
    """Where something is shown, something of its kind must lie."""
    if os.path.isdir("/proc/self/fd/%d" % fd):
        os.makedirs(at, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(at), exist_ok=True)
        os.close(os.open(at, os.O_WRONLY | os.O_CREAT, 0o644))


def mount(source, target, kind, flags, data=None):
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, data)]
    check(libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]), "mount on " + target)


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (what, os.strerror(number)))


def try_veil():
    """
    What this machine allows: a file that is hidden must not be read, and in a folder that is shown must be written. Where there is no
    room to try it (`noRoom`), nobody knows: that is no leave to begin a step without.
    """
    end, answer = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            try:
                os.close(end)
                write_all(answer, json.dumps(tried_veil()).encode())
            finally:
                os._exit(0)
        os.close(answer)
        with open(end, "rb") as file:
            found = file.read()
        wait_for(pid)
        return json.loads(found.decode())
    except (OSError, ValueError) as error:
        return {"noRoom": str(error)[:300]}


def tried_veil():
    """In a process of its own: what it brings along would be in the memory of every runner."""
    from tempfile import TemporaryDirectory

    try:
        return tried_in(TemporaryDirectory)
    except OSError as error:
        return {"noRoom": str(error)[:300]}


def tried_in(temporary_folder):
    kind = "root" if os.geteuid() == 0 else "user"
    with temporary_folder(prefix="modelwright-veil-") as folder:
        folder = os.path.realpath(folder)
        hidden = os.path.join(folder, "hidden")
        shown = os.path.join(hidden, "shown")
        os.makedirs(shown)
        with open(os.path.join(hidden, "secret"), "w"):
            pass
        log, written = os.path.join(folder, "log"), os.path.join(shown, "written")
        mounts = [{"kind": "hide", "at": hidden}, {"kind": "show", "at": shown}]
        step = {
            "cwd": shown,
            "command": "test ! -e ../secret && : > written && ! touch ../new 2> /dev/null",
            "env": {"PATH": "/usr/bin:/bin"},
            "veil": {"kind": kind, "user": [os.getuid(), os.getgid()], "mounts": mounts},
        }
        pid = os.fork()
        if pid == 0:
            code = NO_STEP
            try:
                replace(2, log, os.O_WRONLY | os.O_CREAT)
                ended = carry_out(step)
                code = NO_STEP if ended is None else ended
            except BaseException as error:
                complain(error)
            finally:
                os._exit(code)
        code = code_of(wait_for(pid))
        if code == 0 and os.path.exists(written):
            return {"kind": kind}
        with open(log) as file:
            why = file.read().strip().splitlines()
        return {"why": why[-1][:300] if why else "what was hidden could be seen"}


if __name__ == "__main__":
    serve()
