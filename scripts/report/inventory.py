"""The inventory of a study: every artifact with its digest and how it was made, and what differs from it later."""

import hashlib
import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

# Timings, logs and failures differ between equal runs; the page is made from the artifacts; the rest is Snakemake's.
FOLDERS = ("logs", "benchmarks", "failures")
FILES = ("manifest.json", "SHA256SUMS", "report.html", "report.zip")
STAMP = ".snakemake_timestamp"


class Difference(NamedTuple):
    """One file that is not as the inventory says: ``kind`` is deleted, altered, unlisted or index."""

    kind: str
    path: str
    detail: str


def is_artifact(path):
    """Whether a path relative to the study's folder is listed at all."""
    path = Path(path)
    return path.parts[0] not in FOLDERS and path.as_posix() not in FILES and path.name != STAMP


def files_of(name, place):
    """``{name: file}`` of the artifacts in ``place``: one file of that name, or a folder file by file."""
    inside = {each.relative_to(place): each for each in place.rglob("*")} if place.is_dir() else {Path(): place}
    found = {Path(name, rest).as_posix(): each for rest, each in inside.items() if not each.is_dir()}
    return {each: found[each] for each in sorted(found) if is_artifact(each)}


def take(study, paths, read_record, locate=Path):
    """The inventory of the artifacts ``paths`` and of all that they were made from.

    ``study``: the study's folder. ``read_record``: function from a path to its
    :class:`scripts.report.records.Record` or None. ``locate``: function from a path to where its content is. Equal
    trees and records give equal inventories, a dict of

    - ``artifacts``: ``{path: {"sha256", "size", "rule", "job"}}``, paths relative to the study's folder;
    - ``jobs``: ``{job: {"rule", "inputs", "params", "code", "packages"}}``: how the artifacts with that ``job`` were
      made (an artifact whose job is None has no record);
    - ``sources``: ``{path: {"sha256", "size"}}`` of the inputs outside of the study's folder;
    - ``gone``: inputs that were there once, when something was made from them.
    """
    study = Path(study)
    artifacts, jobs, sources, gone = {}, {}, {}, set()
    waiting, known = [str(path) for path in paths], set()
    while waiting:
        path = waiting.pop()
        if path in known:
            continue
        known.add(path)
        place = Path(locate(path))
        if not place.exists():
            gone.add(path)
        elif study not in Path(path).parents:
            sources[path] = measure(place)
        else:
            record = read_record(path)
            made = {"rule": record and record.rule, "job": _job(record, jobs)}
            for each, file in files_of(Path(path).relative_to(study), place).items():
                if record or each not in artifacts:  # a file of a folder that has a record has none of its own
                    artifacts[each] = measure(file) | made
            waiting += record.inputs if record else ()
    return {"artifacts": artifacts, "jobs": jobs, "sources": sources, "gone": sorted(gone)}


def _job(record, jobs):
    """The name of a record among ``jobs``, a digest of it: outputs that were made alike share one."""
    if record is None:
        return None
    made = {name: list(getattr(record, name)) for name in ("inputs", "params", "code", "packages")}
    made["rule"] = record.rule
    name = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:12]
    jobs[name] = made
    return name


def measure(path):
    """``{"sha256", "size"}`` of a file; of a folder, those of the list of its files."""
    path = Path(path)
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*") if each.is_file() and each.name != STAMP)
        lines = "".join(f"{digest(each)}  {each.relative_to(path).as_posix()}\n" for each in inside)
        return {
            "sha256": hashlib.sha256(lines.encode()).hexdigest(),
            "size": sum(each.stat().st_size for each in inside),
        }
    return {"sha256": digest(path), "size": path.stat().st_size}


def digest(path):
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_lines(digests):
    """``{path: sha256}`` as `sha256sum --check` reads it."""
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests))


def git_state(folder):
    """``{"commit", "dirty"}`` of the checkout that ``folder`` belongs to; both None where there is no git."""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if commit is None or changed is None else bool(changed)}


def _git(folder, *arguments):
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


class Tree:
    """The files of a study on disk, as :func:`differences` asks for them."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def sizes(self):
        """``{path relative to the folder: bytes}`` of all files and links."""
        found = (each for each in self.folder.rglob("*") if each.is_file() or each.is_symlink())
        return {each.relative_to(self.folder).as_posix(): each.lstat().st_size for each in found}

    def fetch(self, path):
        """Where the content of a file can be read. Raises FileNotFoundError where there is no file."""
        if not (self.folder / path).is_file():
            raise FileNotFoundError(self.folder / path)
        return self.folder / path


def differences(tree, inventory):
    """How the files of ``tree`` differ from ``inventory`` (as :func:`take` returns it): sorted :class:`Difference`.

    ``tree``: a :class:`Tree`, or objects (:class:`scripts.common.objects.Folder`). Deleted and altered files are those
    whose digest is not found again, unlisted ones are there without being listed. The indexes of folders (blocks of
    folds, models) are compared with the files in them as well.
    """
    listed, present = inventory["artifacts"], tree.sizes()
    found, digests, indexes = [], {}, {}
    for path, entry in listed.items():
        made = f"made by {entry['rule']}" if entry["rule"] else "not made by a recorded rule"
        try:
            content = tree.fetch(path)
        except FileNotFoundError:
            found.append(Difference("deleted", path, made))
            continue
        digests[path] = digest(content)
        if digests[path] != entry["sha256"]:
            found.append(Difference("altered", path, f"{made}; {_size(content.stat().st_size, entry['size'])}"))
        # the index of a model's shards lies within its folder, without a folder of its own
        if path.endswith(".index.json") and not path.endswith(".safetensors.index.json"):
            indexes[path] = content.read_bytes()
    found += [Difference("unlisted", path, "") for path in set(present) - set(listed) if is_artifact(path)]
    for path, content in indexes.items():
        found += _index_differences(path, content, present, digests)
    return sorted(found)


def _size(now, size):
    return f"{now:,} bytes" if now == size else f"{now:,} bytes instead of {size:,}"


def _index_differences(index, content, present, digests):
    """Where a folder (a block of folds, a language model) and its index disagree."""
    folder = index.removesuffix(".index.json")
    try:
        content = json.loads(content)
        if "files" in content:
            expected = {f"{folder}/{name}": file["sha256"] for name, file in content["files"].items()}
        else:
            expected = {f"{folder}/{fold['file']}": fold["sha256"] for fold in content["folds"]}
    except (ValueError, KeyError, TypeError) as error:
        yield Difference("index", index, f"cannot be read as the index of a folder ({error!r})")
        return
    for path, sha256 in expected.items():
        if path not in present:
            yield Difference("index", path, f"named by {index}, not there")
        elif digests.get(path, "") != sha256:
            yield Difference("index", path, f"is not the model that {index} names")
    there = {each for each in present if each.rpartition("/")[0] == folder and not each.endswith(f"/{STAMP}")}
    for path in sorted(there - set(expected)):
        yield Difference("index", path, f"is not named by {index}")


def explain(study, inventory, found):
    """The differences as text for the terminal, one a line, and what to do about each kind."""
    count = Counter(each.kind for each in found)
    kinds = {
        "deleted": "deleted: `make run` makes them again (for a fold's model: remove its block's folder first)",
        "altered": "altered: remove them (a fold's model with its block's folder), then `make run` makes them again",
        "index": "unlike the index of their block of folds: remove the block's folder, then `make run`",
        "unlisted": "unlisted: no part of this study, perhaps left by an earlier config; remove them",
    }
    lines = [f"{study} is not what its manifest lists ({len(inventory['artifacts'])} files):"]
    for kind, advice in kinds.items():
        if count[kind]:
            lines.append(f"{count[kind]} {advice}")
        for each in found:
            if each.kind == kind:
                lines.append(f"  {each.path} ({each.detail})" if each.detail else f"  {each.path}")
    return "\n".join(lines)
