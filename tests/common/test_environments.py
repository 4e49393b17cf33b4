"""The conda files, the lock and the imports of each stage say the same."""

import re
from pathlib import Path

import pytest
import yaml

from scripts.common.fingerprint import Code, normal_name, read_pins

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def pip_pins(path):
    listed = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]
    return {normal_name(each.split("==")[0]): each.split("==")[1] for each in listed}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_pins_are_the_locks_pins(path):
    lock = read_pins(ROOT / "envs/requirements.txt")
    assert pip_pins(path) == {name: lock[name] for name in pip_pins(path)}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_a_stages_environment_holds_what_its_scripts_import(path):
    code = Code(ROOT, ROOT / "envs/requirements.txt")
    files = [
        each.relative_to(ROOT) for each in (ROOT / "scripts" / path.stem).rglob("*.py") if each.name != "settings.py"
    ]
    needed = {token.split("==")[0] for token in code.tokens(*files) if "==" in token}
    assert needed <= set(pip_pins(path)), needed - set(pip_pins(path))


def test_direct_requirements_are_in_the_lock_as_pinned():
    lock = read_pins(ROOT / "envs/requirements.txt")
    direct = read_pins(ROOT / "envs/requirements.in")
    assert direct == {name: lock[name] for name in direct}
    assert direct["torch"] == "2.13.0" and direct["pandas"].startswith("3.0.")


def test_no_addresses_in_requirements():
    for path in (ROOT / "envs").iterdir():
        if path.suffix in (".txt", ".in", ".yaml"):
            assert not re.search(r"https?:|file:|--index|--find-links|@ ", path.read_text()), path


def test_the_installed_packages_are_the_pinned_ones():
    from importlib.metadata import version

    lock = read_pins(ROOT / "envs/requirements.txt")
    for name in read_pins(ROOT / "envs/requirements.in"):
        assert version(name).split("+")[0] == lock[name]
