"""JSON files that record a result: what it is, and the code and configuration that made it."""

import hashlib
import json
from pathlib import Path

from scripts.common.atomic import write_json


def write_result(path, schema, body, job):
    """Write ``body`` (a dict) with ``schema`` ("folds/1") and the fingerprints of the job's code and params.

    No wall-clock value belongs in ``body``: two equal runs write equal files.
    """
    write_json(path, {"schema": f"quantmake/{schema}", **fingerprints(job), **body})


def read_json(path):
    """The value in a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def fingerprints(job):
    """``{"code": ..., "config": ...}`` of a job: short SHA-256 of its code tokens and of its named params."""
    named = dict(job.params.items())
    # the Snakefile's tokens are positional; those of a kind that the config chose are called "code"
    tokens = list(named.pop("code", ()))
    tokens += [value for value in job.params if isinstance(value, str) and ("@" in value or "==" in value)]
    return {"code": _digest(sorted(set(tokens))), "config": _digest(named)}


def _digest(value):
    canonical = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
