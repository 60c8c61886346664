"""Notes what a step looked for in its workspace and did not find, so that Modelwright can say what was not declared.

One line for each into the file that MODELWRIGHT_READS names: `path TEXT` for a file or folder, `module TEXT` for the place where a
module would have to lie. Whether the commit has it is for Modelwright to say, after the step: nothing is read for it here.
"""

import os
import sys

NOTES = os.environ["MODELWRIGHT_READS"]
WORKSPACE = os.path.join(os.path.dirname(os.path.dirname(NOTES)), "workspace")
MOST = 5000
_seen = set()


def _note(kind, path):
    if path in _seen or len(_seen) >= MOST or "\n" in path:
        return
    _seen.add(path)
    try:
        notes = os.open(NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(notes, f"{kind} {path}\n".encode(errors="surrogateescape"))
        os.close(notes)
    except OSError:
        pass


def _absolute(path):
    return os.path.normpath(os.path.join(os.getcwd(), path))


def _text(path):
    try:
        return os.fsdecode(path)
    except TypeError:
        return None


def _is_folder_of_modules(path):
    """
    `importlib.metadata` looks into each of them for any package, as a folder and as an archive; what the step imports from there is
    noted as a module.
    """
    if path.endswith((".zip", ".egg", ".whl")):
        return False
    return any(isinstance(place, str) and _absolute(place) == path for place in sys.path)


_writes = os.O_WRONLY | os.O_CREAT


def _audit(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int) or (flags or 0) & _writes or (mode and mode[0] in "wax"):
            return
    elif event == "os.listdir" or event == "os.scandir":
        path = arguments[0]
        if path is None or isinstance(path, int):
            return
    else:
        return
    path = _text(path)
    # Only what could lie in the workspace costs a look; compiled modules lie beside their sources, which are looked for as well.
    if path is None or path == NOTES or path.endswith(".pyc") or (path[:1] == "/" and not path.startswith(WORKSPACE)):
        return
    path = _absolute(path)
    if path.startswith(WORKSPACE + "/") and not os.path.lexists(path) and not _is_folder_of_modules(path):
        _note("path", path)


class _Last:
    """The last finder that is asked: what it hears of was not found by any other."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        places = sys.path if path is None else path
        try:
            for place in places:
                place = _absolute(place)
                if (place + "/").startswith(WORKSPACE + "/"):
                    _note("module", os.path.join(place, name.rpartition(".")[2]))
        except Exception:
            pass
        return None


sys.meta_path.append(_Last)
sys.addaudithook(_audit)
