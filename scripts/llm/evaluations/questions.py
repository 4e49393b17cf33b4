"""Questions answered greedily and judged by rule: a corpus's benchmark, its held-out prompts, or those of its held-out
conversations whose answers a rule can judge (decisions by a stated rule, tones of notes, computed questions)."""

from scripts.corpus import rewards, samples
from scripts.corpus.kinds.notes import DIRECTIONS
from scripts.corpus.kinds.trades import DECISIONS
from scripts.llm import evaluations, scoring, selective
from scripts.llm.evaluations import naive

FILE = True
TOLERANCE = 1e-3  # relative, as in the benchmark
FIGURES = {
    "accuracy": evaluations.Figure("right", binary=True),
    "exact": evaluations.Figure("exact", better=None, binary=True),
    "reward": evaluations.Figure("reward"),
    "quality": evaluations.Figure("quality"),
    "ended": evaluations.Figure("ended", better=None, binary=True),
}


def evaluate(answerer, path, settings, context):
    """Answers, scores, confidence: see the package's docstring."""
    found = samples.read(path)
    if settings.get("kind") == "answers":
        found = evaluations.select(found, parts=settings["parts"])
        found = [each for sample in found if (each := as_question(sample))]
    asked = evaluations.select(found, number=settings["per_domain"], by="domain")
    prompts = [answerer.encode(sample["prompt"]) for sample in asked]
    room = answerer.context - settings["max_new_tokens"]
    fitting = [place for place, prompt in enumerate(prompts) if len(prompt) <= room]
    said = answerer.answer([prompts[place] for place in fitting], settings["max_new_tokens"])
    rows = [_row(answerer, asked[place], each) for place, each in zip(fitting, said, strict=True)]
    body = {
        "too_long": [asked[place]["meta"]["id"] for place in sorted({*range(len(asked))} - {*fitting})],
        "max_new_tokens": settings["max_new_tokens"],
        "rubric": scoring.RUBRIC,
        "quality_counts": _counts(rows),
    }
    if rows and all(asked[place]["answer"]["kind"] == "choice" for place in fitting):
        body["naive"] = {"most_frequent": naive.most_frequent(rows, context.seed)}
    if rows and not any(row["right"] == 0 for row in rows):
        body["without_error"] = selective.without_error(len(rows), len({row["group"] for row in rows}))
    return body | _confidence(rows, answerer), rows


def as_question(sample):
    """A conversation as a sample with a verifiable answer, or None where no rule can judge one."""
    meta, said = sample["meta"], sample["messages"][-1]["content"]
    if meta["kind"] == "trades":
        answer = {"kind": "choice", "value": rewards.stated_choice(said, DECISIONS), "choices": list(DECISIONS)}
    elif meta["kind"] == "notes":
        answer = {"kind": "choice", "value": meta["answer"]["value"], "choices": list(DIRECTIONS)}
    elif meta["kind"] == "domain":
        value = meta["answer"]["value"]
        answer = {"kind": "choice", "value": value}
        if not isinstance(value, str):
            answer = {"kind": "number", "value": value, "tolerance": TOLERANCE, "unit": ""}
    else:
        return None
    return {"prompt": sample["messages"][:-1], "answer": answer, "meta": meta}


def _row(answerer, sample, said):
    judged = scoring.judge(said.text, sample["answer"], said.ended)
    meta = sample["meta"]
    return {
        "id": meta["id"],
        "group": evaluations.group_of(meta),
        "tone": evaluations.tone_of(meta),
        "part": meta["domain"],
        "prompt": samples.prompt_of(sample),
        "answer": said.text,
        "expected": sample["answer"]["value"] if "value" in sample["answer"] else sample["answer"]["expected"],
        "score": judged["reward"],
        "stated": None if sample["answer"]["kind"] == "text" else judged["stated"],
        "ended": int(said.ended),
        "tokens": len(said.ids),
        "confidence": scoring.confidence(answerer, said, judged["span"]),
        **{name: judged[name] for name in ("right", "exact", "reward", "quality")},
    }


def _counts(rows):
    qualities = [row["quality"] for row in rows]
    return {str(quality): qualities.count(quality) for quality in range(1, 6)}


def _confidence(rows, answerer):
    """Calibration by every measure over the answers that state something, and the risk-coverage curve by the smallest
    probability over all: one that states nothing has the confidence 0."""
    known = [row for row in rows if row["confidence"]]
    if not known:
        reason = (
            "no answer states what was asked for"
            if answerer.exhaustive
            else "llama.cpp gives log-probabilities one request a token, so they are not asked for here; the merged "
            "model's stand beside"
        )
        return {"calibration": None, "risk_coverage": None, "confidence_reason": reason}
    right = [row["right"] for row in known]
    groups = evaluations.tied(right, known)
    by_measure = {name: [row["confidence"][name] for row in known] for name in scoring.MEASURES}
    every = [row["right"] for row in rows]
    surest = [row["confidence"]["min"] if row["confidence"] else 0.0 for row in rows]
    return {
        "calibration": {
            name: {"measure": said, "asked": len(rows), **selective.calibrate(right, by_measure[name], groups)}
            for name, said in scoring.MEASURES.items()
        },
        "risk_coverage": {"measure": "min", **selective.risk_coverage(every, surest, evaluations.tied(every, rows))},
        "confidence_reason": f"of {len(known)} answers that state something; {len(rows) - len(known)} do not",
    }
