"""Which packages stand in this environment: python modelwright_packages.py ANSWER"""

import json
import platform
import re
import sys
from importlib.metadata import distributions

# As PyPI compares names (PEP 503); of two of a name the one that Python finds first counts.
found = {"python": platform.python_version()}
for distribution in distributions():
    name = distribution.metadata["Name"]
    if name:
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)

with open(sys.argv[1], "w") as file:
    json.dump(found, file)
