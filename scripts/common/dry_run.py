"""A dry run for people: which jobs have a reason of their own, what it is, and how many jobs follow from them.

snakemake --dry-run | python -m scripts.common.dry_run
"""

import ast
import re
import sys
from collections import Counter

from scripts.common.errors import StudyError

FOLLOWS = "Input files updated by another job"
PARAMS = re.compile(r"Params have changed since last execution: .*?before: (.*) now: (.*)$")
# files named in a reason, and parts of a changed value that are shown
SHOWN = 3


def explain(text):
    """The output of `snakemake --dry-run` as a few lines: jobs by reason, then what follows from them.

    Raises StudyError, with the output as its message, when that is not a dry run's.
    """
    jobs = list(read_jobs(text))
    if not jobs and "Nothing to be done" not in text:
        raise StudyError(text.strip() or "the dry run printed nothing")
    if not jobs:
        return "Nothing to be done: every artifact is up to date.\n"
    first = [job for job in jobs if not job["reason"].startswith(FOLLOWS)]
    lines = [f"{len(jobs)} jobs would run."]
    for (rule, reason), names in grouped(first).items():
        shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        lines += [f"  {rule} x {len(names)}: {shown}" if names[0] else f"  {rule}", f"      {reason}"]
    after = Counter(job["rule"] for job in jobs if job["reason"].startswith(FOLLOWS))
    if after:
        lines.append(
            "What follows from them: " + ", ".join(f"{rule} x {n}" if n > 1 else rule for rule, n in after.items())
        )
    return "\n".join(lines) + "\n"


def read_jobs(text):
    """The jobs of a dry run as dicts rule, wildcards, reason; targets without a script are left out."""
    for block in re.split(r"\n(?=(?:local)?(?:rule|checkpoint) \w+:\n)", text)[1:]:
        rule = re.match(r"(?:local)?(?:rule|checkpoint) (\w+):", block)[1]
        found = dict(re.findall(r"^    (\w+): (.*)$", block, re.M))
        if rule not in ("all", "plans"):
            values = [pair.split("=", 1)[1] for pair in found.get("wildcards", "").split(", ") if "=" in pair]
            yield {"rule": rule, "wildcards": " ".join(values), "reason": found.get("reason", "").strip()}


def grouped(jobs):
    """``{(rule, reason in plain words): [wildcards of the jobs]}``."""
    groups = {}
    for job in jobs:
        groups.setdefault((job["rule"], plain(job["reason"])), []).append(job["wildcards"])
    return groups


def plain(reason):
    """A reason without what says the same twice: of changed params only what differs, of files only their number."""
    changed = PARAMS.search(reason)
    if changed:
        return "changed: " + "; ".join(differences(*map(values_of, changed.groups())))
    kind, _, files = reason.split(";")[0].partition(": ")
    return kind.lower() if files else reason


def values_of(text):
    """The params in Snakemake's text, or the text itself where it cannot be read."""
    try:
        return list(ast.literal_eval(f"[{text}]"))
    except (SyntaxError, ValueError):
        return [text]


def differences(before, now):
    """What differs between two lists of params, in a few words each."""
    for old, new in zip(before, now, strict=False):
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
            yield from (f"{key} {old.get(key)} -> {new.get(key)}" for key in keys[:SHOWN])
        elif isinstance(old, str) and "@" in old:
            yield f"code of {new.split('@')[0]}"
        elif isinstance(old, list) and isinstance(new, list):
            parts = [str(each).split("@")[0].rsplit(" ", 1)[0] for each in new if each not in old]
            yield ", ".join(dict.fromkeys(parts[:SHOWN])) or f"{len(old)} values -> {len(new)}"
        else:
            yield f"{str(old)[:60]} -> {str(new)[:60]}"
    if len(before) != len(now):
        yield f"{len(before)} params -> {len(now)}"


if __name__ == "__main__":
    try:
        print(explain(sys.stdin.read()), end="")
    except StudyError as error:
        sys.exit(str(error))
