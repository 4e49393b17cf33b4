"""A job that asked for a GPU has it, or fails at once and says so."""

from types import SimpleNamespace

import pytest
import torch

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.llm import policies, sessions


def cards(monkeypatch, *gigabytes):
    """A machine with cards of these sizes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(gigabytes))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gigabytes))
    made = [SimpleNamespace(name="T4", total_memory=int(each * 10**9)) for each in gigabytes]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: made[number])


@pytest.mark.parametrize("resources", [{"gpu": 0}, {}, {"gpu": 0, "gpu_memory_gb": 40}])
def test_a_job_that_asked_for_none_computes_on_the_cpu_even_beside_one(monkeypatch, resources):
    cards(monkeypatch, 80)
    assert policies.device_for(resources) == "cpu"


@pytest.mark.parametrize(
    ("asked", "found", "said"),
    [(1, (), "asked for 1 GPU and finds none"), (2, (80,), "asked for 2 GPU and finds 1")],
)
def test_fewer_cards_than_asked_for_is_an_error(monkeypatch, asked, found, said):
    cards(monkeypatch, *found)
    with pytest.raises(StudyError, match=rf"{said} \(torch .*set `device: cpu`"):
        policies.device_for({"gpu": asked})
    with pytest.raises(StudyError, match=said):
        policies.device_for({"gpu": 0, "gres": f"gpu:a100:{asked}"})


def test_a_card_with_too_little_memory_is_an_error(monkeypatch):
    cards(monkeypatch, 84.9, 15.6)
    assert policies.device_for({"gpu": 1, "gpu_memory_gb": 80}) == "cuda"
    assert policies.device_for({"gpu": 2}) == policies.device_for({"gpu": 2, "gpu_memory_gb": 15}) == "cuda"
    with pytest.raises(StudyError, match=r"with 16 GB or more, and GPU 1 \(T4\) has 15.6 GB; lower gpu.memory_gb"):
        policies.device_for({"gpu": 2, "gpu_memory_gb": 16})


def test_a_training_without_its_gpu_ends_before_it_begins(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cards(monkeypatch)
    job = Job(output=["results/laptop/llm/r/dpo/adapter.safetensors"], resources={"gpu": 1})
    with pytest.raises(StudyError, match="finds none"), sessions.opened(job, "train_dpo", "r"):
        raise AssertionError("the training began on the CPU")
    assert not list(tmp_path.rglob("*"))
