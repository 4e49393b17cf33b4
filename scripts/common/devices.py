"""What this machine can compute on, told without importing torch: planning a study asks for it."""

from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")


def has_gpu():
    """Whether NVIDIA's driver runs on this machine."""
    return DRIVER.exists()
