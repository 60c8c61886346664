"""Runs at the start of every Python inside a step: its folder is first on PYTHONPATH.

It seeds `random` and NumPy's global generator, makes MLflow's habits land in the step's run, and keeps what Python compiles
of the environment's packages. Nothing is imported for it: each part acts when the user's code imports the module, and
costs nothing where that never happens. A sitecustomize that this one hides is run as well.
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _on_import(actions):
    """Calls actions[name](module) right after the module of that name was first executed."""

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            action = actions.get(name)
            if action is None:
                return None
            spec = _spec_of(name, path, target)
            # The loader stays the same object: others ask it for sources and resources.
            if spec is not None and hasattr(spec.loader, "exec_module"):
                execute = spec.loader.exec_module

                def exec_module(module):
                    execute(module)
                    if actions.pop(name, None) is not None:
                        _guarded(action, module)

                try:
                    spec.loader.exec_module = exec_module
                except (AttributeError, TypeError):
                    pass
            return spec

    def _spec_of(name, path, target):
        for finder in sys.meta_path:
            if finder is not Finder and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    for name in [name for name in actions if name in sys.modules]:
        _guarded(actions.pop(name), sys.modules[name])
    sys.meta_path.insert(0, Finder)


def _guarded(action, module):
    # A surprise here (a new MLflow, say) must not break the user's program.
    try:
        action(module)
    except Exception as error:
        print(f"modelwright: could not prepare {module.__name__}: {error!r}", file=sys.stderr)


def _mlflow(patch):
    def action(module):
        import modelwright_mlflow

        getattr(modelwright_mlflow, patch)(module)

    return action


def _keep_compiled_packages():
    """Compiling mlflow and scikit-learn anew in every step costs 6 s, so the environment keeps what Python compiles of its
    packages; a step's own folders get no __pycache__, which would make an output that holds code another one each time."""
    if sys.prefix == sys.base_prefix or sys.dont_write_bytecode:
        return
    from _frozen_importlib_external import SourceFileLoader

    write = SourceFileLoader._cache_bytecode
    packages = os.path.join(sys.prefix, "")

    def _cache_bytecode(self, source_path, bytecode_path, data):
        if source_path.startswith(packages):
            write(self, source_path, bytecode_path, data)

    SourceFileLoader._cache_bytecode = _cache_bytecode


def _prepare():
    _guarded(lambda _: _keep_compiled_packages(), sys)
    if os.environ.get("MODELWRIGHT_CONTROLS"):
        import modelwright_controls  # noqa: F401
    if os.environ.get("MODELWRIGHT_READS"):
        import modelwright_reads  # noqa: F401
    actions = {}
    seed = os.environ.get("MODELWRIGHT_SEED", "")
    if seed.isdigit():
        actions["random"] = lambda random: random.seed(int(seed))
        # NumPy's legacy generator takes 32 bits. `default_rng()` stays the user's: it has no global state to seed.
        actions["numpy.random"] = lambda random: random.seed(int(seed) % 2**32)
    if os.environ.get("MLFLOW_RUN_ID"):
        # MLflow forgets MLFLOW_RUN_ID at the first start_run; processes started later still have to know their step.
        os.environ.setdefault("MODELWRIGHT_RUN_ID", os.environ["MLFLOW_RUN_ID"])
        os.environ.setdefault("MODELWRIGHT_TRACKING_URI", os.environ.get("MLFLOW_TRACKING_URI", ""))
    if os.environ.get("MODELWRIGHT_RUN_ID"):
        actions["mlflow.tracking.fluent"] = _mlflow("patch_fluent")
        actions["mlflow.tracking._tracking_service.client"] = _mlflow("patch_client")
        actions["mlflow.tracking._tracking_service.utils"] = _mlflow("patch_uri")
    if actions:
        _on_import(actions)


def _run_hidden_sitecustomize():
    # What importlib.machinery and .util only pass on; those two would cost every Python of every step 3 ms.
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    elsewhere = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        hidden = module_from_spec(spec)
        sys.modules["sitecustomize"] = hidden
        spec.loader.exec_module(hidden)


if os.environ.get("MODELWRIGHT_STEP") == "1":
    _guarded(lambda _: _prepare(), sys)
_run_hidden_sitecustomize()
