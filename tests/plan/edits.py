"""Edits of a built checkout, and the jobs that a run would run after them: the machinery of test_impact.py."""

import os
import random
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests import planning
from tests.tiny import bars, jobs_run, snakemake, write_csv

REMOVED = object()
# What `make plan` brings up to date before it plans: a plan is exact once the checkpoints are current.
FIRST = {
    "plans": ["plans"],
    "checks": ["--allowed-rules", "check_corpus", "check_recipe", "admit_recipe", "checks", "--", "checks"],
}


@dataclass(frozen=True)
class Edit:
    """One row of the table: what is changed, and exactly which jobs that must rerun (``rule wildcard wildcard ...``).

    ``first`` names what has to be current before the plan is exact (a key of FIRST); what runs for it counts as rerun.
    """

    name: str
    change: Callable[[Path], None]
    reruns: Iterable[str] = ()
    first: str | None = None

    def rerun(self, folder):
        """Make the change in ``folder``; the set of the jobs that a run would run."""
        self.change(folder)
        ran = jobs_run(snakemake(folder, *FIRST[self.first])) if self.first else []
        return {*ran, *planning.plan(folder)}


def difference(expected, found):
    """``missing: ...; too many: ...`` of two sets of jobs; empty where they are equal."""
    missing, superfluous = sorted(set(expected) - found), sorted(found - set(expected))
    said = [("missing", missing), ("too many", superfluous)]
    return "; ".join(f"{name}: {', '.join(jobs)}" for name, jobs in said if jobs)


# Changes: each function gives a function of the checkout's folder.


def together(*changes):
    """Several changes at once."""

    def change(folder):
        for each in changes:
            each(folder)

    return change


def nothing(folder):
    """No change."""


def key(path, value):
    """A key of the study, ``ensembles.up.meta.C``; REMOVED takes it away."""

    def change(folder):
        study = yaml.safe_load((folder / "config.yaml").read_text())
        *parents, last = path.split(".")
        place = study
        for each in parents:
            place = place.setdefault(each, {})
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value
        (folder / "config.yaml").write_text(yaml.safe_dump(study, sort_keys=False))

    return change


def reordered(*path):
    """The mapping at ``path`` of the study, its keys the other way round."""

    def change(folder):
        study = yaml.safe_load((folder / "config.yaml").read_text())
        holder = {"study": study}
        place, last = holder, "study"
        for each in path:
            place, last = place[last], each
        place[last] = dict(reversed(place[last].items()))
        (folder / "config.yaml").write_text(yaml.safe_dump(holder["study"], sort_keys=False))

    return change


def code(*files):
    """A statement more in modules below scripts/: another fingerprint, the same behaviour."""

    def change(folder):
        for file in files:
            with (folder / "scripts" / file).open("a") as module:
                module.write("\nEDITED = True\n")

    return change


def text(file, old, new):
    """``old`` becomes ``new``, once, in a file."""

    def change(folder):
        content = (folder / file).read_text()
        assert old in content, f"{file} has no {old!r}"
        (folder / file).write_text(content.replace(old, new, 1))

    return change


def more(file, line):
    """A line more at the end of a file."""

    def change(folder):
        with (folder / file).open("a") as lines:
            lines.write(line + "\n")

    return change


def pin(package):
    """Another version of a package in the lock."""

    def change(folder):
        path = folder / "envs/requirements.txt"
        content, number = re.subn(rf"(?im)^{re.escape(package)}==[^\s;]+", f"{package}==99.1", path.read_text())
        assert number == 1, f"{package} has {number} pins"
        path.write_text(content)

    return change


def lost(path):
    """A file or folder below the study's results is deleted."""

    def change(folder):
        gone = folder / "results/tiny" / path
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()

    return change


def corrected(symbol, hour, column="volume", factor=1.01):
    """One value of one bar of a symbol's source is multiplied by ``factor``."""

    def change(folder):
        frame = bars(symbol)
        frame.loc[frame["timestamp"].dt.strftime("%Y-%m-%d %H") == hour, column] *= factor
        write_csv(folder, symbol, frame)

    return change


def shuffled_times(folder):
    """Every file and folder gets a time of its own, in an order that has nothing to do with how it was made."""
    paths = sorted(path for path in folder.rglob("*") if ".snakemake" not in path.relative_to(folder).parts)
    random.Random(7).shuffle(paths)
    for number, path in enumerate(paths):
        os.utime(path, (1_700_000_000 + number,) * 2)
