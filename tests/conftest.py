import shutil
from pathlib import Path

import pytest

from tests.tiny import CHAT, TALK, make_checkout, snakemake

# what takes minutes to make, the dearest first
SHARED = ("chatted", "talked", "built")


def pytest_addoption(parser):
    parser.addoption("--kills", default="6", help="how often tests/end_to_end/test_kill.py kills a run")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(config, items):
    """With several workers (`--dist loadgroup`) the tests of a file, those that share a built study, and all that need
    the SLURM cluster go to one of them; the cluster's, which mostly wait, begin, and the other long ones follow."""
    if not config.getoption("loadgroup", None):
        return
    first = {name: place for place, name in enumerate(("slurm", *SHARED))}
    groups = {item: group_of(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: first.get(groups[item], len(first)))


def group_of(item):
    """The name of the tests that have to run in one worker with ``item``."""
    if "tests/slurm/" in item.nodeid:
        return "slurm"
    return next((name for name in SHARED if name in item.fixturenames), str(item.path))


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A checkout whose tiny study has been built; tests copy it and never change it."""
    folder = make_checkout(tmp_path_factory.mktemp("built") / "checkout")
    (folder / "first_run.log").write_text(snakemake(folder).stderr)
    return folder


@pytest.fixture
def checkout(built, tmp_path):
    """A copy of the built checkout, to edit."""
    return Path(shutil.copytree(built, tmp_path / "checkout", symlinks=True))


@pytest.fixture(scope="session")
def talked(tmp_path_factory):
    """A checkout whose tiny study of corpora has been built; tests copy it and never change it."""
    folder = make_checkout(tmp_path_factory.mktemp("talked") / "checkout", TALK)
    snakemake(folder)
    return folder


@pytest.fixture(scope="session")
def chatted(tmp_path_factory):
    """A checkout whose tiny study of language models has been built; tests copy it and never change it."""
    folder = make_checkout(tmp_path_factory.mktemp("chatted") / "checkout", CHAT)
    snakemake(folder)
    return folder
