"""How well a model foresees held-out answers, token by token: loss, perplexity, accuracy, calibration."""

import math

import numpy as np

from scripts.common.statistics import calibration
from scripts.corpus import samples
from scripts.llm import chats, evaluations

FILE = True
FIGURES = {
    "loss": evaluations.Figure("loss", better="lower", weight="tokens"),
    "loss_by_sample": evaluations.Figure("loss", better=None),
    "token_accuracy": evaluations.Figure("token_accuracy", weight="tokens"),
}
# what a backend without batched log-probabilities is asked for
FEW_SAMPLES, FEW_TOKENS = 8, 400


def evaluate(answerer, path, settings, context):
    """Losses in nats, ``loss`` the mean over tokens, ``loss_by_sample`` over answers: see the package's docstring."""
    asked = samples.spread(evaluations.select(samples.read(path), parts=settings["parts"]), settings["samples"])
    segments = [_segment(answerer, sample) for sample in asked]
    kept = [place for place, (ids, _) in enumerate(segments) if len(ids) <= answerer.context]
    body = {"too_long": [asked[place]["meta"]["id"] for place in sorted({*range(len(asked))} - {*kept})]}
    body["reason"] = None
    if not answerer.exhaustive:
        body["reason"] = (
            f"llama.cpp gives log-probabilities one request a token: the answers of {FEW_SAMPLES} samples at equal "
            f"distances, no more than {FEW_TOKENS} tokens in all; token accuracy is not asked for"
        )
        kept = _few(segments, kept)
    followed = answerer.follow([segments[place] for place in kept])
    rows = [_row(asked[place], each) for place, each in zip(kept, followed, strict=True)]
    loss = evaluations.estimate(rows, FIGURES["loss"], context.seed)
    body["perplexity"] = {name: _exp(loss[name]) for name in ("value", "low", "high")} if loss else None
    body["tokens"] = sum(row["tokens"] for row in rows)
    body["calibration"] = _calibration(followed) if followed and followed[0].best is not None else None
    return body, rows


def _segment(answerer, sample):
    *turns, answer = sample["messages"]
    return chats.encode(answerer.tokenizer, turns, answer["content"])


def _few(segments, kept):
    """Places of few samples and few tokens; the last answer is cut by leaving it out."""
    chosen, tokens = [], 0
    for place in samples.spread(kept, FEW_SAMPLES):
        ids, start = segments[place]
        if not chosen or tokens + len(ids) - start <= FEW_TOKENS:
            chosen.append(place)
            tokens += len(ids) - start
    return chosen


def _row(sample, followed):
    meta = sample["meta"]
    loss = -float(followed.logprobs.mean())
    return {
        "id": meta["id"],
        "group": evaluations.group_of(meta),
        "tone": evaluations.tone_of(meta),
        "part": meta["part"],
        "prompt": None,  # nothing was said: the sample is in the corpus
        "answer": None,
        "expected": None,
        "score": -loss,
        "loss": loss,
        "tokens": len(followed.logprobs),
        "token_accuracy": None if followed.best is None else float(followed.best.mean()),
    }


def _calibration(followed):
    """Of the probability of the likeliest token. Tokens of one text are not separate: no interval is given."""
    right = np.concatenate([each.best for each in followed]).astype(float)
    p = np.exp(np.concatenate([each.top for each in followed]))
    bins = calibration.reliability(right, p, len(followed), 10)
    kept = [{name: each[name] for name in ("rows", "mean_p", "share")} for each in bins]
    ece = float(calibration.calibration_error(bins))
    chance = calibration.error_if_calibrated(p, 10)
    return {
        "tokens": len(right),
        "ece": ece,
        "ece_if_calibrated": chance,
        "brier": calibration.brier(right, p),
        "bins": kept,
    }


def _exp(value):
    # a loss of hundreds of nats is a broken model's; its perplexity is no number any more
    return None if value is None or value > 700 else math.exp(value)
