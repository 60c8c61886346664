"""What is held still under MODELWRIGHT_CONTROLS, and what is not: python test_controls.py (NumPy and pandas where they are there)"""

import importlib.util
import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
START = 1_700_000_000_000
SCIENCE = all(importlib.util.find_spec(name) for name in ("numpy", "pandas"))

RANDOM = "import os, random, secrets, uuid; print(random.Random().random(), random.SystemRandom().random(), os.urandom(9).hex(), secrets.token_hex(4), uuid.uuid4())"
CLOCK = "import datetime as d, time; print(time.time(), time.time_ns(), time.ctime(), time.strftime('%c'), d.datetime.now(), d.datetime.now(d.timezone.utc), d.datetime.today(), d.date.today(), time.perf_counter())"
HASH = "print(list({str(i) for i in range(60)}))"


class Controls(unittest.TestCase):
    def run_python(self, program, controls=None, hash_seed="random", words=("-c",)):
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": HERE, "MODELWRIGHT_STEP": "1", "PYTHONHASHSEED": hash_seed}
        if controls is not None:
            env["MODELWRIGHT_CONTROLS"] = json.dumps(controls)
        done = subprocess.run([sys.executable, *words, program], env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def both(self, program, controls=None, **how):
        return self.run_python(program, controls, **how), self.run_python(program, controls, **how)

    def assert_only(self, program, control, value):
        everything = {"hash": 0, "clock": START, "random": 0}
        free = {name: given for name, given in everything.items() if name != control}
        self.assertEqual(*self.both(program, {control: value}))
        self.assertEqual(*self.both(program, everything))
        self.assertNotEqual(*self.both(program, free))
        self.assertNotEqual(*self.both(program))

    def test_entropy_is_held_by_its_own_control_alone(self):
        self.assert_only(RANDOM, "random", 0)

    def test_the_clock_is_held_by_its_own_control_alone(self):
        self.assert_only(CLOCK, "clock", START)

    def test_the_order_of_sets_is_held_by_its_own_control_alone(self):
        self.assert_only(HASH, "hash", 0)

    def test_python_starts_anew_with_the_very_same_words(self):
        program = "import sys; print(sys.argv, sys.flags.dev_mode, sys.flags.optimize, open(0).read())"
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": HERE, "MODELWRIGHT_STEP": "1"}
        words = [sys.executable, "-O", "-c", program, "a b", "c"]
        plain = subprocess.run(words, env=env, capture_output=True, text=True, input="x")
        env["MODELWRIGHT_CONTROLS"] = '{"hash": 3}'
        held = subprocess.run(words, env=env, capture_output=True, text=True, input="x")
        self.assertEqual(held.stdout, plain.stdout, held.stderr)

    def test_a_loop_that_waits_for_a_time_ends(self):
        self.run_python("import time; end = time.time() + 5\nwhile time.time() < end: pass", {"clock": START})

    def test_starts_at_the_time_that_was_said_and_only_goes_on(self):
        out = self.run_python("import time, datetime; print(time.time(), datetime.datetime.now(datetime.timezone.utc).isoformat(), time.time())", {"clock": START})
        first, shown, last = out.split()
        self.assertEqual(first, "1700000000.001")
        self.assertTrue(shown.startswith("2023-11-14T22:13:20"))
        self.assertGreater(float(last), float(first))

    def test_seeded_generators_stay_what_they_are(self):
        program = "import random; random.seed(5); print(random.random(), random.Random(6).random())"
        self.assertEqual(self.run_python(program, {"random": 0}), self.run_python(program))

    def test_times_stay_what_they_are_in_all_but_now(self):
        program = "import datetime as d, pickle; x = d.datetime(2020, 1, 2, 3); print(x, pickle.loads(pickle.dumps(x)) == x, x.date(), d.datetime.fromtimestamp(0, d.timezone.utc), type(x) is d.datetime, isinstance(x, d.date))"
        self.assertEqual(self.run_python(program, {"clock": START}), self.run_python(program))

    @unittest.skipUnless(SCIENCE, "NumPy or pandas is not there")
    def test_numpy_and_pandas_are_held_as_well(self):
        program = "import numpy as n, pandas as p; print(n.random.default_rng().random(), n.random.RandomState().rand(), p.Timestamp.now(), p.Timestamp(0))"
        self.assertEqual(*self.both(program, {"clock": START, "random": 0}))


if __name__ == "__main__":
    unittest.main()
