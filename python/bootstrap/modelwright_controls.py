"""Holds still what makes a step's result another one each time, while a reproduction looks for the cause.

MODELWRIGHT_CONTROLS is JSON with any of
- `hash`: Python starts with this hash seed, whatever the step asked for;
- `clock`: the time starts here (epoch ms) and goes on by a millisecond each time somebody looks, so that nothing waits for ever;
- `random`: whatever would be drawn from the system's entropy comes from a generator with this seed.

Only for that: a result under controls is compared with others under controls and kept by nobody.
"""

import json
import os
import sys

CONTROLS = json.loads(os.environ["MODELWRIGHT_CONTROLS"])


def _hold_hash(seed):
    # The seed counts only where it stands when Python starts, so it starts once more.
    wanted = str(seed)
    if os.environ.get("PYTHONHASHSEED") == wanted:
        return
    arguments = _own_words()
    if not arguments or not sys.executable:
        return
    os.environ["PYTHONHASHSEED"] = wanted
    arguments[0] = sys.executable
    os.execv(sys.executable, arguments)


def _own_words():
    if hasattr(sys, "orig_argv"):
        return list(sys.orig_argv)
    # Before Python 3.10 only the system knows them.
    try:
        with open("/proc/self/cmdline", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def _hold_entropy(seed):
    import hashlib

    state = {"drawn": 0, "random": 0}

    def urandom(size):
        pieces = []
        left = size
        while left > 0:
            piece = hashlib.sha256(f"{seed} {state['drawn']}".encode()).digest()[:left]
            state["drawn"] += 1
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    # Before `random`, `secrets`, `uuid` and NumPy take theirs from here.
    os.urandom = urandom
    if hasattr(os, "getrandom"):
        os.getrandom = lambda size, flags=0: urandom(size)

    import random

    original = random.Random.seed

    def seed_it(self, a=None, version=2):
        if a is None:
            # Without a seed the C code asks the system itself.
            state["random"] += 1
            a = f"{seed} {state['random']}"
        return original(self, a, version)

    random.Random.seed = seed_it


def _hold_clock(start_ms):
    import datetime
    import time

    state = {"ns": int(start_ms) * 1_000_000}

    def now_ns():
        state["ns"] += 1_000_000
        return state["ns"]

    def elapsed_ns():
        return now_ns() - int(start_ms) * 1_000_000 + 1_000_000_000

    real_strftime, real_ctime, real_asctime = time.strftime, time.ctime, time.asctime
    real_gmtime, real_localtime = time.gmtime, time.localtime
    time.time_ns = now_ns
    time.time = lambda: now_ns() / 1e9
    for name in ("perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: elapsed_ns() / 1e9)
        setattr(time, f"{name}_ns", elapsed_ns)
    # `monotonic` stays: locks, queues and sockets wait by it, and it has no meaning beyond this process.
    time.gmtime = lambda secs=None: real_gmtime(time.time() if secs is None else secs)
    time.localtime = lambda secs=None: real_localtime(time.time() if secs is None else secs)
    time.strftime = lambda form, t=None: real_strftime(form, time.localtime() if t is None else t)
    time.ctime = lambda secs=None: real_ctime(time.time() if secs is None else secs)
    time.asctime = lambda t=None: real_asctime(time.localtime() if t is None else t)

    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)

    def today(cls):
        return cls.fromtimestamp(time.time())

    # In place: a subclass in the type's stead would break extensions that were compiled against its layout, as pandas is.
    _set(datetime.datetime, now=now, utcnow=utcnow, today=today)
    _set(datetime.date, today=today)


def _set(builtin, **methods):
    import ctypes
    import gc

    (names,) = gc.get_referents(builtin.__dict__)
    names.update({name: classmethod(method) for name, method in methods.items()})
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(builtin))


if "hash" in CONTROLS:
    _hold_hash(CONTROLS["hash"])
if "random" in CONTROLS:
    _hold_entropy(CONTROLS["random"])
if "clock" in CONTROLS:
    _hold_clock(CONTROLS["clock"])
