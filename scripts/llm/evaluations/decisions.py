"""BUY or SELL on held-out rows of a market, against the outcome, naive answers and an ensemble."""

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.statistics import proportions
from scripts.corpus import samples
from scripts.llm import evaluations, selective
from scripts.llm.evaluations import naive, pairs

FILE = True
FIGURES = {"accuracy": evaluations.Figure("right", binary=True)}
SIDES = ("BUY", "SELL")
METHOD = (
    "the two answers of a pair are one text up to the decision; the model decides for the side whose first differing "
    "token is likelier after the question and that text, and p_buy is the share of BUY in the two probabilities"
)
SELECTION = "rows on which exactly one side gained, as many BUY as SELL in every symbol and period"
LABELS = (
    "the ensemble forecasts its own label over its own horizon, and its side is BUY above 0.5; both are judged here by "
    "the outcome of the pairs (which side gains after costs under the exit rule), on the rows of these pairs only; the "
    "ensemble was not trained for it"
)


def evaluate(answerer, path, settings, context):
    """Decisions: see the package's docstring. Raises StudyError where the pairs have no outcomes."""
    asked = evaluations.select(samples.read(path), parts=settings["parts"], number=settings["samples"])
    judged = [each for each in asked if each["meta"].get("outcome", {}).get("chosen") in SIDES]
    if not judged:
        raise StudyError(
            f"{path}: none of {len(asked)} pairs has an outcome (meta.outcome.chosen BUY or SELL); the kind decisions "
            "asks pairs of the corpus kind preferences, use the kind pairs for others"
        )
    both, too_long = pairs.encode(answerer, judged)
    found = answerer.prefer([pair for _, pair in both])
    rows = [_row(sample, each) for (sample, _), each in zip(both, found, strict=True)]
    known = _predictions(context.predictions)
    for row in rows:
        row["ensemble_p"] = known.get((row["entity"], row["time"]), (None, None))[0]
    body = {
        "method": METHOD,
        "selection": SELECTION,
        "without_outcome": len(asked) - len(judged),
        "too_long": too_long,
        "span": {"start": min(row["time"] for row in rows), "end": max(row["time"] for row in rows)},
        # within one period the months of a symbol are the groups
        "periods": _shares(rows, "period", [f"{row['entity']}/{row['time'][:7]}" for row in rows]),
        "entities": _shares(rows, "entity", [row["group"] for row in rows]),
        "says_buy": evaluations.share([row["answer"] == "BUY" for row in rows], rows),
        "naive": {
            "majority": naive.most_frequent(rows, context.seed),
            "always_buy": naive.always("BUY", rows, context.seed),
        },
        "calibration": _calibration(rows),
        "ensemble": _ensemble(rows, known, context),
    }
    return body, rows


def _row(sample, preference):
    meta = sample["meta"]
    side = meta["outcome"]["chosen"]
    margin = float(preference.first[0] - preference.first[1])  # of the chosen side
    p_buy = float(1 / (1 + np.exp(-margin if side == "BUY" else margin)))
    said = "BUY" if p_buy > 0.5 else "SELL"
    return {
        "id": meta["id"],
        "group": evaluations.group_of(meta),
        "tone": evaluations.tone_of(meta),
        "part": meta["part"],
        "entity": meta["entity"],
        "period": meta["group"],
        "time": meta["time"],
        "t1": meta["t1"],
        "prompt": samples.prompt_of(sample),
        "answer": said,
        "expected": side,
        "score": float(said == side),
        "p_buy": p_buy,
        "right": int(said == side),
    }


def _shares(rows, key, groups):
    """Accuracy by the values of ``key``, in their order."""
    found = {}
    for value in sorted({row[key] for row in rows}):
        own = [(row["right"], group) for row, group in zip(rows, groups, strict=True) if row[key] == value]
        found[value] = proportions.share(*zip(*own, strict=True))._asdict()
    return found


def _calibration(rows):
    """Of the probability of BUY against an outcome that was BUY."""
    buys = [row["expected"] == "BUY" for row in rows]
    return selective.calibrate(buys, [row["p_buy"] for row in rows], evaluations.tied(buys, rows))


def _ensemble(rows, known, context):
    """The model and the ensemble on the rows that both have an opinion of."""
    if not context.predictions:
        return None
    own = [row for row in rows if row["ensemble_p"] is not None]
    body = {"said": LABELS, "n": len(own), "rows_without_prediction": len(rows) - len(own)}
    if not own:
        return body | {"reason": "the ensemble has no out-of-fold or test prediction of any of these rows"}
    ensemble = [int((row["ensemble_p"] > 0.5) == (row["expected"] == "BUY")) for row in own]
    model = [row["right"] for row in own]
    hours = {
        "ensemble": [known[row["entity"], row["time"]][1] for row in own],
        "outcome": [_hours(row["time"], row["t1"]) for row in own],
    }
    return body | {
        "median_hours": {name: float(np.median(each)) for name, each in hours.items()},
        "model": evaluations.share(model, own),
        "ensemble": evaluations.share(ensemble, own),
        "model_minus_ensemble": naive.paired(model, ensemble, own, context.seed),
    }


def _predictions(files):
    """``{(symbol, ISO stamp): (p, hours to the end of the label)}`` of tables with timestamp, t1 and p_stack."""
    if not files:
        return {}
    import pandas as pd

    known = {}
    for symbol, path in files:
        table = pd.read_parquet(path, columns=["timestamp", "t1", "p_stack"]).dropna()
        stamps = table["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        hours = (table["t1"] - table["timestamp"]).dt.total_seconds() / 3600
        values = zip(stamps, table["p_stack"].astype(float), hours, strict=True)
        known |= {(symbol, stamp): (p, spent) for stamp, p, spent in values}
    return known


def _hours(start, end):
    return float((np.datetime64(end.rstrip("Z")) - np.datetime64(start.rstrip("Z"))) / np.timedelta64(1, "h"))
