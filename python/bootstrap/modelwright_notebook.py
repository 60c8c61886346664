"""Carries a notebook out, as `notebook:` of a step says: `python -m modelwright_notebook NOTEBOOK`.

The cells run in the step's workspace with the environment's own kernel. The executed notebook, with all outputs up to a cell that
failed, is kept as the artifact `notebooks/NAME` of the step's run; the cell and its error are the last words of the log.
"""

import os
import sys

MISSING = """modelwright: notebooks need {name} in the step's environment.
Add nbclient and ipykernel to the requirements."""


def main(path):
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, DeadKernelError

        import ipykernel  # noqa: F401
    except ModuleNotFoundError as missing:
        print(MISSING.format(name=missing.name), file=sys.stderr)
        return 78
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=None,
        resources={"metadata": {"path": os.getcwd()}},
        kernel_manager_class=_kernel_of_this_python(),
        on_cell_executed=_tell,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        return _failed(notebook, str(error))
    except DeadKernelError as error:
        return _failed(notebook, f"the kernel died: {error}")
    finally:
        _keep(notebook)
    return 0


def _kernel_of_this_python():
    """Whatever kernels a home folder names: this very interpreter, with the step's own variables."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self):
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="step", language="python")

    return ThisPython


def _tell(cell, cell_index, execute_reply):
    """What a cell printed is what the step printed."""
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream":
            (sys.stderr if output["name"] == "stderr" else sys.stdout).write(output["text"])
    sys.stdout.flush()
    sys.stderr.flush()


def _failed(notebook, error):
    number, cell = next(
        (
            (number, cell)
            for number, cell in enumerate(notebook.cells, 1)
            if any(output["output_type"] == "error" for output in cell.get("outputs", []))
        ),
        (0, None),
    )
    name, value = "", error.strip().splitlines()[-1]
    if cell is not None:
        output = next(output for output in cell["outputs"] if output["output_type"] == "error")
        name, value = output["ename"], output["evalue"]
        print("\n".join(output.get("traceback", [])), file=sys.stderr)
    print(f"modelwright: cell {number} failed: {name}: {value}", file=sys.stderr)
    return 1


def _keep(notebook):
    """Beside the workspace; Modelwright takes it from there into the run's artifacts, also when the step fails."""
    import nbformat

    nbformat.write(notebook, os.path.join(os.path.dirname(os.environ["MODELWRIGHT_READS"]), "executed.ipynb"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
