"""What of this machine is free: its memory, where a control group has less that of the group, and its disks."""

import shutil
from pathlib import Path

# limit and usage of a control group, by the controllers that its line names: version 2, version 1
GROUPS = {
    "": ("memory.max", "memory.current"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}


def free_disk(folder):
    """Free bytes of the disk that a folder is on, or will be on once it is made."""
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def free_host(root="/sys/fs/cgroup", own="/proc/self/cgroup"):
    """Free memory of the machine, or of the control group where that has less; with what this process holds."""
    import psutil

    return min([psutil.virtual_memory().available, *_in_groups(root, own)]) + psutil.Process().memory_info().rss


def _in_groups(root, own):
    """Free bytes in this process's control groups and in those above them, versions 1 and 2."""
    lines = Path(own).read_text().splitlines() if Path(own).exists() else []
    for _, controllers, name in (line.split(":", 2) for line in lines):
        if controllers not in GROUPS:
            continue
        top, (limit, usage) = Path(root, controllers), GROUPS[controllers]
        place = top / name.strip("/")
        # in a container the group's own name is often not mounted: its limit stands at the top
        for folder in [place, *place.parents]:
            if folder.is_relative_to(top) and (folder / limit).exists():
                said = (folder / limit).read_text().strip()
                if said.isdigit() and int(said) < 2**60:
                    yield int(said) - int((folder / usage).read_text()) + _reclaimable(folder / "memory.stat")


def _reclaimable(path):
    """Bytes of files that a control group can drop from its memory at once."""
    figures = dict(line.split()[:2] for line in path.read_text().splitlines()) if path.exists() else {}
    return int(figures.get("total_inactive_file", figures.get("inactive_file", 0)))
