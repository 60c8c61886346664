"""The bootstrap under the real mlflow client, on a SQLite store in place of the server.

    python test_bootstrap.py      (in an environment with mlflow and scikit-learn)

Each case is a user's script in a process of its own that has not seen mlflow yet, as a step has it.
"""

import json
import os
import runpy
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import unittest
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
PARENT = "mlflow.parentRunId"


class Nursery:
    """Forks scripts from a process that has imported what mlflow imports, but not mlflow: that saves seconds each time."""

    def __init__(self):
        orders, self.send = os.pipe()
        self.receive, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.send)
            self._serve(os.fdopen(orders), os.fdopen(answers, "w"))
            os._exit(0)
        os.close(orders)
        os.close(answers)
        self.orders, self.answers = os.fdopen(self.send, "w"), os.fdopen(self.receive)

    def run(self, **order):
        print(json.dumps(order), file=self.orders, flush=True)
        return int(self.answers.readline())

    def close(self):
        self.orders.close()
        os.waitpid(self.pid, 0)

    @staticmethod
    def _serve(orders, answers):
        import alembic.command  # noqa: F401
        import pandas  # noqa: F401
        import sklearn.linear_model  # noqa: F401
        import sqlalchemy.orm  # noqa: F401

        assert "mlflow" not in sys.modules
        for line in orders:
            child = os.fork()
            if child == 0:
                os._exit(Nursery._step(json.loads(line)))
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)

    @staticmethod
    def _step(order):
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        sys.path.insert(0, HERE)
        code = 0
        try:
            runpy.run_path(os.path.join(HERE, "sitecustomize.py"))
            exec(compile(order["program"], "<step>", "exec"), {"__name__": "__main__"})
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            code = 1
        import atexit

        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        return code


class PlainPython(unittest.TestCase):
    def run_python(self, program, env=None, path=HERE):
        given = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "MODELWRIGHT_STEP": "1", "MODELWRIGHT_SEED": "7"}
        given.update(env or {})
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=given, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split("\n"), done.stderr

    def test_imports_nothing_for_a_script_that_needs_nothing(self):
        lines, _ = self.run_python(
            "import sys; print([m for m in ('random', 'numpy', 'mlflow', 'modelwright_mlflow') if m in sys.modules])",
            {"MLFLOW_RUN_ID": "a" * 32},
        )
        self.assertEqual(lines[0], "[]")

    def reads(self, program, files=()):
        with tempfile.TemporaryDirectory() as folder:
            folder = os.path.realpath(folder)
            workspace, notes = os.path.join(folder, "workspace"), os.path.join(folder, "notes")
            os.makedirs(notes)
            for name in files:
                path = os.path.join(workspace, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w") as file:
                    file.write("")
            os.makedirs(workspace, exist_ok=True)
            program = f"import os, sys; os.chdir({workspace!r}); sys.path[0] = {workspace!r}\n" + textwrap.dedent(program)
            self.run_python(program, {"MODELWRIGHT_READS": os.path.join(notes, "reads")})
            try:
                with open(os.path.join(notes, "reads")) as file:
                    lines = [line.replace(workspace + "/", "") for line in file.read().splitlines()]
                # The standard library tries modules of other systems.
                return [line for line in lines if line not in ("module nt", "module _winapi", "module winreg")]
            except FileNotFoundError:
                return []

    def test_notes_what_was_looked_for_in_the_workspace_and_was_not_there(self):
        program = '''
            import pathlib
            def tried(action):
                try: action()
                except OSError: pass
                except ImportError: pass
            tried(lambda: open("a.csv"))
            tried(lambda: open("a.csv"))
            tried(lambda: pathlib.Path("sub/b.csv").read_text())
            tried(lambda: os.listdir("folder"))
            tried(lambda: __import__("helper"))
            tried(lambda: __import__("there.inner"))
            tried(lambda: open("/nowhere/c.csv"))
        '''
        self.assertEqual(
            self.reads(program, ["there/__init__.py"]),
            ["path a.csv", "path sub/b.csv", "path folder", "module helper", "module there/inner"],
        )

    def test_notes_nothing_of_what_is_there_or_written(self):
        program = '''
            open("new.txt", "w").close(); open("new.txt").read(); open("there.csv").read()
            import json, there_too, importlib.util
            importlib.util.find_spec("json")
        '''
        self.assertEqual(self.reads(program, ["there.csv", "there_too.py"]), [])

    def test_notes_no_folder_that_python_itself_lists_because_it_is_on_the_path(self):
        program = '''
            sys.path.append(os.path.join(os.getcwd(), "proj", "src"))
            import importlib.metadata
            list(importlib.metadata.distributions())
            try: open(sys.path[-1])
            except OSError: pass
            try: os.listdir("other")
            except OSError: pass
        '''
        paths = [line for line in self.reads(program) if line.startswith("path ")]
        self.assertEqual(paths, ["path other"])

    def test_seeds_random_and_numpy_as_the_seed_says(self):
        program = "import random, numpy; print(random.random(), numpy.random.rand())"
        first, _ = self.run_python(program)
        second, _ = self.run_python(program)
        other, _ = self.run_python(program, {"MODELWRIGHT_SEED": "8"})
        plain, _ = self.run_python("import random, numpy; random.seed(7); numpy.random.seed(7); " + program, path="")
        self.assertEqual(first, second)
        self.assertEqual(first, plain)
        self.assertNotEqual(first, other)

    def test_seeds_numpy_with_a_seed_of_more_than_32_bits(self):
        _, stderr = self.run_python("import numpy.random", {"MODELWRIGHT_SEED": str(2**40 + 3)})
        self.assertEqual(stderr, "")

    def test_keeps_what_was_compiled_of_the_environment_and_nothing_of_the_step(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = os.path.realpath(folder)
            venv.create(os.path.join(folder, "env"), symlinks=True)
            packages = sysconfig.get_path("purelib", "venv", {"base": os.path.join(folder, "env")})
            work = os.path.join(folder, "work")
            os.mkdir(work)
            for place, name in ((packages, "installed"), (work, "own")):
                with open(os.path.join(place, name + ".py"), "w") as file:
                    file.write("x = 1\n")
            env = {"PYTHONPATH": HERE, "MODELWRIGHT_STEP": "1"}
            python = os.path.join(folder, "env", "bin", "python")
            subprocess.run([python, "-c", "import installed, own"], cwd=work, env=env, check=True)
            self.assertEqual(os.listdir(work), ["own.py"])
            compiled = os.listdir(os.path.join(packages, "__pycache__"))
            self.assertEqual([name.split(".")[0] for name in compiled], ["installed"])

    def test_does_not_touch_the_seed_outside_a_step(self):
        program = "import random; print(random.random())"
        outside = {"MODELWRIGHT_STEP": ""}
        self.assertNotEqual(self.run_python(program, outside)[0], self.run_python(program, outside)[0])

    def test_runs_the_sitecustomize_that_it_hides(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "sitecustomize.py"), "w") as file:
                file.write("import os; os.environ['HIDDEN'] = 'ran'\n")
            lines, _ = self.run_python(
                "import os, random, sitecustomize; print(os.environ['HIDDEN'], sitecustomize.__file__, random.random())",
                path=HERE + os.pathsep + folder,
            )
            hidden, file, number = lines[0].split(" ")
            self.assertEqual((hidden, file), ("ran", os.path.join(folder, "sitecustomize.py")))
            self.assertEqual(number, self.run_python("import random; print(random.random())")[0][0])


class MlflowHabits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.nursery = Nursery()
        cls.folder = tempfile.TemporaryDirectory()
        cls.uri = f"sqlite:///{cls.folder.name}/store.db"
        from mlflow import MlflowClient

        cls.client = MlflowClient(cls.uri)
        cls.experiment = cls.client.create_experiment("steps", f"file://{cls.folder.name}/artifacts")

    @classmethod
    def tearDownClass(cls):
        cls.nursery.close()
        cls.folder.cleanup()

    def step(self, program, fails=False):
        """Runs the script as a step; returns the step's run, the runs below it and what was said."""
        run = self.client.create_run(self.experiment, run_name="train")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder.name,
            "PYTHONPATH": HERE,
            "MODELWRIGHT_STEP": "1",
            "MODELWRIGHT_SEED": "7",
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_RUN_ID": run.info.run_id,
            "MLFLOW_TRACKING_TOKEN": "secret",
            "FOLDER": self.folder.name,
        }
        out, err = os.path.join(self.folder.name, "out"), os.path.join(self.folder.name, "err")
        program = "import mlflow\n" + textwrap.dedent(program)
        code = self.nursery.run(env=env, cwd=self.folder.name, program=program, out=out, err=err)
        with open(out) as stdout, open(err) as stderr:
            done = subprocess.CompletedProcess([], code, stdout.read(), stderr.read())
        self.assertEqual(done.returncode != 0, fails, done.stderr)
        everywhere = [e.experiment_id for e in self.client.search_experiments()]
        runs = self.client.search_runs(everywhere)
        below = [r for r in runs if r.data.tags.get(PARENT) == run.info.run_id]
        return self.client.get_run(run.info.run_id), below, done

    def test_logs_into_the_steps_run_and_leaves_its_status_to_modelwright(self):
        run, below, _ = self.step("mlflow.log_param('a', 1); mlflow.log_metric('m', 2); mlflow.end_run()")
        self.assertEqual((run.data.params, run.data.metrics, run.info.status), ({"a": "1"}, {"m": 2.0}, "RUNNING"))
        self.assertIsNone(run.info.end_time)
        self.assertEqual(below, [])

    def test_leaves_the_status_also_when_the_run_ends_in_an_exception(self):
        run, _, _ = self.step("with mlflow.start_run():\n  mlflow.log_metric('m', 1)\n  raise ValueError()", fails=True)
        self.assertEqual((run.info.status, run.data.metrics), ("RUNNING", {"m": 1.0}))

    def test_keeps_the_steps_run_when_the_script_sets_another_experiment(self):
        run, _, done = self.step(
            """
            mlflow.set_experiment('another')
            with mlflow.start_run(run_name='mine'):
                mlflow.log_metric('m', 1)
            mlflow.set_experiment('another')
            """
        )
        self.assertEqual(run.data.metrics, {"m": 1.0})
        self.assertEqual(run.data.tags["modelwright.requested_experiment"], "another")
        self.assertIsNone(self.client.get_experiment_by_name("another"))
        self.assertEqual(done.stderr.count("keeps its own experiment"), 1)

    def test_says_nothing_when_the_script_sets_the_steps_own_experiment(self):
        run, _, done = self.step("print(mlflow.set_experiment('steps').experiment_id); mlflow.log_metric('m', 1)")
        self.assertEqual((done.stdout.strip().split("\n")[0], run.data.metrics), (self.experiment, {"m": 1.0}))
        self.assertNotIn("modelwright.requested_experiment", run.data.tags)

    def test_makes_a_second_run_of_one_script_a_run_below_the_step(self):
        run, below, _ = self.step(
            """
            with mlflow.start_run(): mlflow.log_metric('first', 1)
            with mlflow.start_run(run_name='second'): mlflow.log_metric('second', 2)
            with mlflow.start_run(experiment_id='0'): mlflow.log_metric('third', 3)
            """
        )
        self.assertEqual(run.data.metrics, {"first": 1.0})
        self.assertEqual(sorted(list(r.data.metrics)[0] for r in below), ["second", "third"])
        self.assertEqual({(r.info.experiment_id, r.info.status) for r in below}, {(self.experiment, "FINISHED")})

    def test_nests_runs_below_the_run_that_is_active(self):
        run, below, _ = self.step(
            """
            with mlflow.start_run():
                with mlflow.start_run(nested=True) as child:
                    with mlflow.start_run(nested=True) as grandchild:
                        mlflow.log_metric('m', 3)
                        assert grandchild.data.tags['mlflow.parentRunId'] == child.info.run_id
                mlflow.log_metric('m', 1)
            """
        )
        self.assertEqual((run.data.metrics, len(below)), ({"m": 1.0}, 1))

    def test_links_runs_of_processes_that_the_script_starts(self):
        _, below, _ = self.step(
            """
            import subprocess, sys
            mlflow.log_metric('m', 1)
            subprocess.run([sys.executable, '-c', 'import mlflow; mlflow.log_metric("sub", 1)'], check=True)
            """
        )
        self.assertEqual([r.data.metrics for r in below], [{"sub": 1.0}])

    def test_autologs_scikit_learn_into_the_steps_run(self):
        run, below, _ = self.step(
            """
            from sklearn.linear_model import LogisticRegression
            mlflow.sklearn.autolog(log_models=False, log_datasets=False)
            LogisticRegression(C=0.5).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
            LogisticRegression(C=0.7).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
            """
        )
        self.assertEqual((run.data.params["C"], run.info.status), ("0.5", "RUNNING"))
        self.assertIn("training_accuracy_score", run.data.metrics)
        self.assertEqual([r.data.params["C"] for r in below], ["0.7"])

    def test_passes_registered_model_name_unchanged(self):
        run, _, _ = self.step(
            """
            from sklearn.linear_model import LinearRegression
            with mlflow.start_run():
                model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
                mlflow.sklearn.log_model(model, name='model', registered_model_name='mine', serialization_format='pickle')
            """
        )
        versions = self.client.search_model_versions("name='mine'")
        self.assertEqual([(str(v.version), v.run_id) for v in versions], [("1", run.info.run_id)])

    def test_obeys_another_tracking_uri_with_a_warning_and_without_our_token(self):
        run, below, done = self.step(
            """
            import os
            mlflow.set_tracking_uri('sqlite:///' + os.environ['FOLDER'] + '/elsewhere.db')
            assert 'MLFLOW_TRACKING_TOKEN' not in os.environ
            with mlflow.start_run(): mlflow.log_metric('away', 1)
            """
        )
        self.assertEqual((run.data.metrics, below), ({}, []))
        self.assertIn("leaves Modelwright", done.stderr)

    def test_comes_back_when_the_tracking_uri_does(self):
        run, _, done = self.step(
            f"""
            import os
            mlflow.set_tracking_uri('sqlite:///' + os.environ['FOLDER'] + '/elsewhere.db')
            mlflow.set_tracking_uri({self.uri!r})
            assert os.environ['MLFLOW_TRACKING_TOKEN'] == 'secret'
            with mlflow.start_run(): mlflow.log_metric('home', 1)
            """
        )
        self.assertEqual(run.data.metrics, {"home": 1.0})


if __name__ == "__main__":
    unittest.main()
