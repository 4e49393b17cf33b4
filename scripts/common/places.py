"""Where a job's files are: on disk, or copies of objects below the folder in which Snakemake keeps these.

An output `results/laptop/llm/x` is `.snakemake/storage/s3/bucket/prefix/results/laptop/llm/x` to the script where the
results are objects in `s3://bucket/prefix`.
"""

from pathlib import Path

RESULTS = "results"
STAGES = ("market", "forecast", "ensemble", "corpus", "llm", "decision", "release")


def study_folder(path):
    """`results/<study>` in the working directory, from the path of an artifact of one of the stages.

    What a job leaves beside its outputs goes there, and stays on the machine that ran the job.
    """
    parts = Path(path).parts
    for at in range(len(parts) - 2):
        if parts[at] == RESULTS and parts[at + 2] in STAGES:
            return Path(*parts[at : at + 2])
    raise ValueError(f"{path} is no artifact of a study")


class Root:
    """The folder in which the paths that rules name begin: the working directory, or that of copies of objects."""

    def __init__(self, path, name):
        """From one of these paths as a script has it, and as the rule ``name``\\ s it."""
        parts, named = Path(path).parts, Path(name).parts
        if parts[-len(named) :] != named:
            raise ValueError(f"{path} is not where {name} is kept")
        self.folder = Path(*parts[: -len(named)])

    def name(self, path):
        """A path or address as the rule names it; those of other places stay as they are."""
        _, apart, rest = str(path).partition("://")
        if not apart:
            inside = self.folder != Path() and self.folder in Path(path).parents
            return Path(path).relative_to(self.folder).as_posix() if inside else str(path)
        # the folder ends with bucket and prefix, with which the address begins
        top, parts = self.folder.parts, Path(rest).parts
        for length in range(min(len(top), len(parts)), 0, -1):
            if top[-length:] == parts[:length]:
                return Path(*parts[length:]).as_posix()
        return str(path)

    def path(self, name):
        """Where the file is that rules call ``name``."""
        return self.folder / name
