import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.tiny import CHAT, STUDY, TALK, make_checkout, snakemake

# fixtures that take minutes to make
STUDIES = {"built": STUDY, "talked": TALK, "chatted": CHAT}
# these are on a cluster of their own, beside the other tests of tests/slurm
STUDIES_ON_SLURM = ("tests/slurm/test_study.py", "tests/slurm/test_trainings.py")
# what takes long, in the order in which it is begun
LONG = ("tests/slurm/", "tests/plan/test_impact", "tests/plan/", "tests/end_to_end/", "tests/storage/", "tests/llm/")


def pytest_addoption(parser):
    parser.addoption("--kills", default="6", help="how often tests/end_to_end/test_kill.py kills a run")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(config, items):
    """With several workers (`--dist loadgroup`) the tests of a file go to one of them, and so do all that share a
    SLURM cluster; what takes long begins, the clusters' first, which wait much."""
    if not config.getoption("loadgroup", None):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item.nodeid.split("::")[0])))
    items.sort(key=lambda item: [not item.nodeid.startswith(name) for name in LONG])


def group_of(file):
    """The tests that one worker runs: those of a file, or of the files that share a cluster."""
    if not file.startswith("tests/slurm/"):
        return file
    return "studies on SLURM" if file in STUDIES_ON_SLURM else "faults of SLURM"


def build_once(name, factory):
    """A checkout in which a study of STUDIES has been built, by whichever worker asks for it first."""
    place = factory.getbasetemp()
    folder = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / name / "checkout"
    with FileLock(f"{folder.parent}.lock"):
        said = folder / "first_run.log"  # written last
        if not said.exists():
            shutil.rmtree(folder, ignore_errors=True)
            made = snakemake(make_checkout(folder, STUDIES[name]))
            said.write_text(made.stderr)
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A checkout whose tiny study has been built; tests copy it and never change it."""
    return build_once("built", tmp_path_factory)


@pytest.fixture
def checkout(built, tmp_path):
    """A copy of the built checkout, to edit."""
    return Path(shutil.copytree(built, tmp_path / "checkout", symlinks=True))


@pytest.fixture(scope="session")
def talked(tmp_path_factory):
    """A checkout whose tiny study of corpora has been built; tests copy it and never change it."""
    return build_once("talked", tmp_path_factory)


@pytest.fixture(scope="session")
def chatted(tmp_path_factory):
    """A checkout whose tiny study of language models has been built; tests copy it and never change it."""
    return build_once("chatted", tmp_path_factory)
