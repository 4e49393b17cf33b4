"""Whether a GPU may be used here, told by files and an environment variable."""

import pytest

from scripts.common import devices


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with NVIDIA's driver and, by default, a card."""
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "version")
    monkeypatch.setattr(devices, "CARDS", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("version", "nvidiactl", "nvidia-uvm", "nvidia0"):
        (tmp_path / name).touch()
    return tmp_path


def test_a_driver_and_a_card_make_a_gpu(machine):
    assert devices.has_gpu()
    (machine / "nvidia0").unlink()  # a container to which no card was given
    assert not devices.has_gpu()


def test_without_a_driver_there_is_none(machine):
    (machine / "version").unlink()
    assert not devices.has_gpu()


@pytest.mark.parametrize(
    ("visible", "seen"),
    [("", False), ("-1", False), ("NoDevFiles", False), ("0", True), ("1,0", True), ("GPU-1a", True)],
)
def test_cards_that_are_hidden_do_not_count(machine, monkeypatch, visible, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.has_gpu() is seen


@pytest.mark.parametrize(
    ("resources", "number"),
    [
        ({}, 0),
        ({"gpu": 0}, 0),
        ({"gpu": 2}, 2),
        ({"gpu": 0, "gres": "gpu:1"}, 1),
        ({"gres": "gpu:a100:4,shard:2"}, 4),
        ({"gres": "gpu"}, 1),
        ({"gres": "shard:2"}, 0),
    ],
)
def test_gpus_are_asked_for_by_gpu_or_by_gres(resources, number):
    assert devices.asked(resources) == number
