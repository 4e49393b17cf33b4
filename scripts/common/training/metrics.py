"""metrics.jsonl of a training: a line per optimizer step and per validation, without times.

A number that is not finite is null, and its record says ``"non_finite": true``. A resumed training cuts off what the
killed one wrote after its checkpoint, so that the file becomes that of an undisturbed run, byte for byte.
"""

import json
import math
import os
from pathlib import Path

from scripts.common.errors import StudyError


def of_step(step, loss, gradient_norm=None, learning_rate=None, **also):
    """The record of an optimizer step; ``also``: further figures of the training, such as the margin of DPO.

    ``learning_rate`` is the one the step was made with; what is None was not measured and is left out.
    """
    figures = {"loss": loss, "gradient_norm": gradient_norm, "learning_rate": learning_rate, **also}
    return _record(step, figures)


def of_validation(step, loss, **also):
    """The record of a validation after ``step`` optimizer steps."""
    return _record(step, {"validation_loss": loss, **also})


def _record(step, figures):
    values = {name: float(value) for name, value in figures.items() if value is not None}
    record = {"step": int(step)} | {name: value if math.isfinite(value) else None for name, value in values.items()}
    if None in record.values():
        record["non_finite"] = True
    return record


def read(path):
    """The records of a file, as written: None stands for a number that was not finite."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class Metrics:
    """A metrics.jsonl that is being written; every record is in the file at once."""

    def __init__(self, path):
        self.path, self._file = Path(path), None

    def write(self, record):
        """Append a record made by :func:`of_step` or :func:`of_validation`."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115
        # json writes floats as repr does: the shortest text that gives the same number again
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()

    def sync(self):
        """Have everything written on the disk: before a checkpoint is called complete."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self):
        """Close the file; the next record opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def resume(self, step):
        """Cut off all records after ``step``, and a line that was half written; the records that stay.

        ``step`` is 0 for a training that starts afresh. Raises StudyError when records up to ``step`` are missing.
        """
        self.close()
        kept, size = before(self.path, step)
        last = kept[-1]["step"] if kept else 0
        if last < step:
            raise StudyError(
                f"{self.path} ends at step {last}, but the checkpoint to resume from is of step {step}: remove the "
                f"folder {self.path.parent} and start the training again"
            )
        if self.path.exists():
            os.truncate(self.path, size)
        return kept


def before(path, step):
    """``(records, bytes)`` of a file up to ``step``: the whole records at its beginning, and how long they are."""
    kept, size = [], 0
    lines = Path(path).read_bytes().splitlines(keepends=True) if Path(path).exists() else []
    for line in lines:
        record = _whole(line)
        if record is None or record["step"] > step:
            break
        kept.append(record)
        size += len(line)
    return kept, size


def _whole(line):
    """The record of a line, or None when its end is missing."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
