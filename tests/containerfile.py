"""What Containerfile says, instruction by instruction."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]


def instructions():
    """``[(KEYWORD, text)]`` of the Containerfile, continuation lines joined, comments left out."""
    lines = [line for line in (ROOT / "Containerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line]


def variables():
    """The environment that the image gives a job."""
    pairs = [pair for keyword, text in instructions() if keyword == "ENV" for pair in shlex.split(text)]
    return dict(pair.split("=", 1) for pair in pairs)
