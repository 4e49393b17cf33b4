"""What Snakemake recorded of a file when it was made: the rule, its inputs, its params, its code.

The records are JSON files below `.snakemake/metadata`, one per output, as `snakemake.persistence.file` writes them
(9.27, record format 6). Those of the running invocation are there as soon as a job has ended.
"""

import ast
import json
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

CODE = re.compile(r"scripts/[\w./-]+\.py@[0-9a-f]{10}")
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[^\s=]+")


@dataclass(frozen=True)
class Record:
    """How one job made its outputs. ``params`` have no names: Snakemake keeps their values only."""

    rule: str
    inputs: tuple
    params: tuple
    code: tuple
    packages: tuple


def read_record(folder, path):
    """The :class:`Record` of the output ``path``, or None where Snakemake has none (made by hand, records lost).

    ``folder``: `.snakemake/metadata`; ``path``: as the rule names it, relative to the working directory.
    """
    place = record_path(folder, path)
    if not place.is_file():
        return None
    found = json.loads(place.read_text(encoding="utf-8"))
    params, code, packages = split_params(found.get("params") or ())
    return Record(found.get("rule"), tuple(sorted(found.get("input") or ())), params, code, packages)


def record_path(folder, path):
    """The file that holds the record of ``path``: its name in base64, in folders where it is too long for one name."""
    folder = Path(folder)
    longest = (os.pathconf(folder if folder.is_dir() else ".", "PC_NAME_MAX") or 255) - 1
    name = urlsafe_b64encode(str(path).encode()).decode()
    pieces = [name[start : start + longest] for start in range(0, len(name), longest)]
    return folder.joinpath(*(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def recorded_names(folder):
    """What the records below ``folder`` are of: paths and, where outputs are objects, their addresses."""
    folder, found = Path(folder), []
    for place in folder.rglob("*"):
        pieces = place.relative_to(folder).parts
        # the folders of a long name begin with @; other files are Snakemake's own
        if all(piece.startswith("@") for piece in pieces[:-1]) and place.is_file():
            try:
                found.append(urlsafe_b64decode("".join(piece.removeprefix("@") for piece in pieces)).decode())
            except ValueError:
                continue
    return found


def split_params(texts):
    """(params, code tokens, package pins) of a record's params, which are texts of Python literals.

    The Snakefile adds tokens such as ``scripts/ensemble/boosters.py@550a99b0d9`` and ``lightgbm==4.7.0`` one by one;
    the tokens of a kind that the config chose are a list. A text that is no literal stays a text.
    """
    params, tokens = [], set()
    for text in texts:
        value = _literal(text)
        found = value if isinstance(value, list) and value else [value]
        if all(isinstance(each, str) and (CODE.fullmatch(each) or PACKAGE.fullmatch(each)) for each in found):
            tokens.update(found)
        else:
            params.append(value)
    return (
        tuple(params),
        tuple(sorted(each for each in tokens if CODE.fullmatch(each))),
        tuple(sorted(each for each in tokens if not CODE.fullmatch(each))),
    )


def _literal(text):
    """The value of a literal as JSON can hold it; the text itself where it is none."""
    try:
        value = ast.literal_eval(text)
        return json.loads(json.dumps(value, allow_nan=False))
    except (ValueError, SyntaxError, TypeError):
        return str(text)
