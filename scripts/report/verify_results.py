"""Compare a study's files with its manifest: `python -m scripts.report.verify_results results/laptop`.

Snakemake does not notice a deleted intermediate or an altered fold; this does. Nothing is rebuilt or changed.
"""

import sys
from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.common.results import read_json
from scripts.report import inventory


def verify(study):
    """One line that all is well; raises StudyError with a list of everything that is not."""
    manifest, checksums = Path(study, "manifest.json"), Path(study, "SHA256SUMS")
    if not manifest.is_file():
        raise StudyError(f"{manifest} is not there, so nothing can be compared with it: `make run` makes it")
    try:
        listed = read_json(manifest)
        known = dict(reversed(line.split("  ", 1)) for line in checksums.read_text().splitlines())
        intact = known.pop(manifest.name) == inventory.digest(manifest)
        intact &= known == {path: entry["sha256"] for path, entry in listed["artifacts"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise StudyError(f"{manifest} and {checksums.name} do not agree: remove both, then `make run` makes them again")
    found = inventory.differences(study, listed)
    if found:
        raise StudyError(inventory.explain(study, listed, found))
    indexes = sum(path.endswith(".index.json") for path in listed["artifacts"])
    files = len(listed["artifacts"])
    return f"{study}: {files} files are as the manifest lists them, {indexes} folders with an index included"


def main(job):
    """Verify the study in the folder that the params name."""
    progress.info("%s", verify(job.params.study))


def command_line(arguments):
    """The exit code: 0 when all is well, 1 when something differs, 2 for a wrong call."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m scripts.report.verify_results results/<study>", file=sys.stderr)
        return 2
    try:
        print(verify(arguments[0]))
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if "snakemake" in globals():
        run(main, snakemake)  # noqa: F821
    else:
        sys.exit(command_line(sys.argv[1:]))
