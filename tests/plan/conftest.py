import shutil
from pathlib import Path

import pytest

from tests.tiny import make_checkout, snakemake


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A checkout whose tiny study has been built; tests copy it and never change it."""
    folder = make_checkout(tmp_path_factory.mktemp("built") / "checkout")
    snakemake(folder)
    return folder


@pytest.fixture
def checkout(built, tmp_path):
    """A copy of the built checkout, to edit."""
    return Path(shutil.copytree(built, tmp_path / "checkout", symlinks=True))
