import pytest

from tests.slurm.cluster import Cluster, missing


def pytest_collection_modifyitems(config, items):
    """One cluster per session: with several workers (`--dist loadgroup`) all these tests go to one of them."""
    for item in items if config.pluginmanager.hasplugin("xdist") else ():
        if "tests/slurm/" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("slurm"))


@pytest.fixture(scope="session")
def running():
    """The session's cluster, as the tests before left it."""
    if reason := missing():
        pytest.skip(f"no SLURM here ({reason})")
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(running):
    """The session's cluster with no job in it and all its nodes up, whatever the test before did to it."""
    running.restore()
    yield running
    running.restore()
