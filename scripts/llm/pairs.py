"""Preference pairs of DPO and what the reference thinks of them."""

import math

import pandas as pd

from scripts.common.errors import StudyError
from scripts.common.results import read_json
from scripts.common.training import failures
from scripts.corpus import samples
from scripts.llm import adapters, examples

VALIDATION = 200  # pairs at most, at equal distances, on which the validation loss is measured
# the policy is the reference before its first step, so the margin is 0 and the loss ln 2; bfloat16 rounds
TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}


def read(path, settings, split):
    """The pairs in a jsonl file that the settings of DPO (dict) choose; of validation pairs some at equal distances."""
    limit = {"samples": VALIDATION} if split == "validation" else {}
    return examples.chosen(samples.read(path), settings | limit)


def references(table, account, adapter):
    """``{id: (chosen, rejected)}`` from the reference's scores; StudyError unless ``adapter`` is that reference."""
    said, found = read_json(account)["reference"], adapters.sha256(adapter)
    if said != found:
        raise StudyError(
            f"the reference's scores are those of the adapter {said[:12]}, and training would start from {found[:12]}: "
            "DPO has to start from its reference; remove reference.parquet and run again"
        )
    frame = pd.read_parquet(table)
    return {row.id: (row.chosen, row.rejected) for row in frame.itertuples()}


def require_start(records, dtype):
    """Raise StoppedError unless the first step's loss is ln 2: the policy was its reference then."""
    first = next(each for each in records if "loss" in each)
    # None stands for a loss that is not finite: the training's guard tells of that
    if first["loss"] is not None and abs(first["loss"] - math.log(2)) > TOLERANCE[dtype]:
        said = (
            f"the first loss of DPO is {first['loss']:.6f}, not ln 2 = {math.log(2):.6f}: the policy is not the "
            "reference whose scores it is compared with"
        )
        raise failures.stopped("wrong_reference", first["step"], {"message": said})
