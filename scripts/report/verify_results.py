"""Compare a study's files with its manifest: `python -m scripts.report.verify_results results/laptop`.

Snakemake does not notice a deleted intermediate or an altered fold; this does. Nothing is rebuilt or changed. A study
whose results are objects is named by its address, `s3://bucket/prefix/results/laptop`: every object is fetched once.
"""

import sys

from scripts.common import objects
from scripts.common.errors import StudyError
from scripts.common.job import progress, run
from scripts.common.results import read_json
from scripts.report import inventory

MANIFEST, CHECKSUMS = "manifest.json", "SHA256SUMS"


def verify(study):
    """One line that all is well; raises StudyError with a list of everything that is not.

    ``study``: the study's folder or its address.
    """
    tree = objects.Folder(study) if objects.is_address(study) else inventory.Tree(study)
    listed = _manifest(study, tree)
    found = inventory.differences(tree, listed)
    if found:
        raise StudyError(inventory.explain(study, listed, found))
    indexes = sum(path.endswith(".index.json") for path in listed["artifacts"])
    files = len(listed["artifacts"])
    return f"{study}: {files} files are as the manifest lists them, {indexes} folders with an index included"


def _manifest(study, tree):
    """The manifest, once it and the list of checksums agree."""
    try:
        manifest = tree.fetch(MANIFEST)
    except FileNotFoundError:
        raise StudyError(
            f"{study}/{MANIFEST} is not there, so nothing can be compared with it: `make run` makes it"
        ) from None
    try:
        listed, own = read_json(manifest), inventory.digest(manifest)
        known = dict(reversed(line.split("  ", 1)) for line in tree.fetch(CHECKSUMS).read_text().splitlines())
        intact = known.pop(MANIFEST) == own
        intact &= known == {path: entry["sha256"] for path, entry in listed["artifacts"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise StudyError(
            f"{study}/{MANIFEST} and {CHECKSUMS} do not agree: remove both, then `make run` makes them again"
        )
    return listed


def main(job):
    """Verify the study in the folder, or at the address, that the params name."""
    progress.info("%s", verify(objects.at_home(job.params.study)))


def command_line(arguments):
    """The exit code: 0 when all is well, 1 when something differs, 2 for a wrong call."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(
            "usage: python -m scripts.report.verify_results results/<study> (or its address: s3://...)", file=sys.stderr
        )
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
