import pytest

from tests.slurm.cluster import Cluster, missing
from tests.slurm.runs import kill_all
from tests.slurm.studies import BLOCKS, BOOSTERS, target
from tests.tiny import make_checkout, snakemake


@pytest.fixture(scope="session")
def running():
    """The session's cluster, as the tests before left it."""
    if reason := missing():
        pytest.skip(f"no SLURM here ({reason})")
    with Cluster() as cluster:
        yield cluster
        kill_all()


@pytest.fixture
def cluster(running):
    """The session's cluster with no job in it and all its nodes up, whatever the test before did to it."""
    running.restore()
    yield running
    kill_all()
    running.restore()


@pytest.fixture(scope="session")
def boosted(tmp_path_factory):
    """A checkout in which a local run has trained two blocks of boosters; tests copy it and never change it.

    A job of a dead machine is waited for 40 s instead of two minutes.
    """
    folder = make_checkout(tmp_path_factory.mktemp("boosted") / "checkout", BOOSTERS)
    states = folder / "scripts/common/training/states.py"
    states.write_text(states.read_text().replace("SILENCE = 120.0", "SILENCE = 40.0"))
    snakemake(folder, *map(target, BLOCKS.values()))
    return folder
