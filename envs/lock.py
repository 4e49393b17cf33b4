"""Write the closure of the direct requirements: `make lock`.

requirements.in -> requirements.txt (what a run needs), cloud.in -> cloud.txt (what the profiles of clouds add), test.in
-> test.txt (what `make test` adds, the clouds' too), and the pins in the conda files. pip resolves without installing;
no addresses are written.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ENVS = Path(__file__).parent
HEAD = "# Made by `make lock` from {source}; do not edit.\n"
# Wheels of these exist for Linux only; elsewhere nothing needs them.
LINUX_ONLY = ("nvidia-",)
NAME = re.compile(r"([A-Za-z0-9._-]+)==([^\s;#]+)")


def resolve(source):
    """``{name: version}`` that pip would install for a requirements file, local version parts ("+cpu") cut off."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        subprocess.run([*command, "--report", str(report), "-r", str(source)], check=True)
        found = json.loads(report.read_text())["install"]
    return {each["metadata"]["name"]: each["metadata"]["version"].split("+")[0] for each in found}


def write_lock(path, pins, source):
    """Write ``name==version`` lines, sorted, with markers where a wheel is for one platform only."""
    lines = []
    for name in sorted(pins, key=str.lower):
        marker = ' ; sys_platform == "linux"' if name.startswith(LINUX_ONLY) else ""
        lines.append(f"{name}=={pins[name]}{marker}\n")
    path.write_text(HEAD.format(source=source) + "".join(lines))


def update_conda(path, pins):
    """Bring the pins of a conda file up to date; raises KeyError for a package that is not in the lock."""
    known = {normal(name): version for name, version in pins.items()}
    path.write_text(NAME.sub(lambda match: f"{match[1]}=={known[normal(match[1])]}", path.read_text()))


def normal(name):
    """A distribution's name in its one normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main():
    """Resolve, write, and say how many packages."""
    pins = resolve(ENVS / "requirements.in")
    write_lock(ENVS / "requirements.txt", pins, "requirements.in")
    for name in ("cloud", "test"):
        added = {each: version for each, version in resolve(ENVS / f"{name}.in").items() if pins.get(each) != version}
        write_lock(ENVS / f"{name}.txt", added, f"{name}.in")
        print(f"{len(added)} packages more of {name}.in than the {len(pins)} of a run")
    for path in sorted(ENVS.glob("*.yaml")):
        update_conda(path, pins)


if __name__ == "__main__":
    main()
