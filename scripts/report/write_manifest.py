"""Every artifact of the study with its digest and how it was made: manifest.json and SHA256SUMS."""

import platform
from dataclasses import replace
from pathlib import Path

from scripts.common import objects
from scripts.common.atomic import write_text
from scripts.common.job import progress, run
from scripts.common.places import RESULTS, Root
from scripts.common.results import write_result
from scripts.report import inventory, records

CHECKOUT = Path(__file__).resolve().parents[2]


def main(job):
    """Take the inventory of all inputs and of what they were made from, as Snakemake recorded it."""
    output = Path(job.output.manifest)
    study = Path(RESULTS, output.parent.name)
    root = Root(output, study / output.name)
    read = record_reader(job.params.get("records", ".snakemake/metadata"), root)
    body = inventory.take(study, map(root.name, job.input), read, locator(root))
    body |= {
        "study": output.parent.name,
        "git": inventory.git_state(CHECKOUT),
        "python": platform.python_version(),
        "packages": sorted({pin for each in body["jobs"].values() for pin in each["packages"]}),
    }
    write_result(output, "manifest/1", body, job)
    digests = {path: entry["sha256"] for path, entry in body["artifacts"].items()}
    write_text(job.output.checksums, inventory.checksum_lines(digests | {output.name: inventory.digest(output)}))

    unrecorded = [path for path, entry in body["artifacts"].items() if entry["job"] is None]
    size = sum(entry["size"] for entry in body["artifacts"].values())
    progress.info("%d artifacts, %.1f MB, by %d jobs", len(digests), size / 1e6, len(body["jobs"]))
    if unrecorded:
        progress.info("%d of them without a record of how they were made, such as %s", len(unrecorded), unrecorded[0])


def locator(root):
    """A function from a path, as the rules name it, to where its content is; an object without a copy is fetched."""
    opened = {}

    def locate(path):
        # a file of the study on disk is of another run where this one's are objects
        of_study = Path(RESULTS) in Path(path).parents
        here = root.path(path) if of_study or root.path(path).exists() else Path(path)
        address = objects.at_home(path) if not objects.is_address(path) else path
        if here.exists() or not objects.is_address(address):
            return here
        folder, _, name = address.rpartition("/")
        if folder not in opened:
            opened[folder] = objects.Folder(folder)
        try:
            return opened[folder].fetch(name)
        except FileNotFoundError:
            return here

    return locate


def record_reader(folder, root):
    """A function from a path to its record or None: paths and inputs as the rules name them, wherever they are kept."""
    if root.folder == Path():
        return lambda path: records.read_record(folder, path)
    # the records are of addresses: one of an equal path on disk is of another run
    addresses = {root.name(each): each for each in records.recorded_names(folder) if "://" in each}

    def read(path):
        found = records.read_record(folder, addresses.get(path, ""))
        return found and replace(found, inputs=tuple(sorted(map(root.name, found.inputs))))

    return read


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
