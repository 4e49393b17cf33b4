"""What this machine can compute on, told without importing torch: planning a study asks for it."""

import os
from pathlib import Path

DRIVER, CARDS = Path("/proc/driver/nvidia/version"), Path("/dev")
HIDDEN = ("", "-1", "NoDevFiles")  # what the first of CUDA_VISIBLE_DEVICES is where no card may be used


def has_gpu():
    """Whether NVIDIA's driver runs on this machine, a card of it is here (a container may have none), and
    CUDA_VISIBLE_DEVICES hides not all of them."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    return DRIVER.exists() and any(CARDS.glob("nvidia[0-9]*")) and first not in HIDDEN


def asked(resources):
    """How many GPUs a job asked for: by `gpu`, or by `gres` (gpu:2, gpu:a100:2) where a cluster knows only that."""
    gres = [each.split(":") for each in str(resources.get("gres", "") or "").split(",")]
    return resources.get("gpu", 0) or sum(
        int(each[-1]) if each[-1].isdigit() else 1 for each in gres if each[0] == "gpu"
    )
