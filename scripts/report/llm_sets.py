"""Evaluation sets as the report shows them: the columns of a recipe, and what an artifact's cell says."""

from typing import NamedTuple

from scripts.report import html_tables as html

# the figure of a kind of set that is shown and compared, and the one that stands in for it where it is not asked for
MAIN = {"held_out": ("loss", None), "pairs": ("accuracy", "first_token")}
MAIN_OF_OTHERS = ("accuracy", None)
CALLED = {
    "benchmark": "right answers, computed questions",
    "prompts": "right answers, computed questions",
    "answers": "right answers, questions with a rule",
    "held_out": "loss on held-out answers (lower is better)",
    "pairs": "preference accuracy",
    "decisions": "right decisions, BUY or SELL",
    "harness": "right answers, lm-evaluation-harness",
}
FEW = "few samples"
FIRST = "first token"
STATED = "min"  # of the measures of confidence in a stated answer: the one that risk and coverage go by


class Column(NamedTuple):
    """A column of a recipe's table: an evaluation set, or one part of it."""

    set: str
    kind: str
    part: str | None
    agreement: float | None = None  # of planted notes in the pairs with the chosen side

    @property
    def title(self):
        """What it is called on the page."""
        return self.set if self.part is None else f"{self.set} · {self.part}"


class Shown(NamedTuple):
    """The figure of an artifact in a column: its name, its estimate (None: not asked), what is special about it."""

    figure: str
    estimate: dict | None
    special: str | None


def main_figure(kind):
    """``(figure, substitute or None)`` of a kind of set."""
    return MAIN.get(kind, MAIN_OF_OTHERS)


def columns(about, evaluations, notes):
    """The :class:`Column` list of a recipe: its sets in their order, preference pairs part by part.

    ``about["sets"]``: ``{set: corpus}``; ``notes``: ``{corpus: {part: agreement}}`` of planted notes.
    """
    found = []
    for name, corpus in about["sets"].items():
        known = [each["sets"][name] for each in evaluations.values() if name in each["sets"]]
        parts = sorted({part for each in known for part in each["parts"]}) if known else []
        kind, own = known[0]["kind"] if known else None, notes.get(corpus, {})
        if kind == "pairs":
            found += [Column(name, kind, part, own.get(part)) for part in parts]
        elif kind:
            asked = [own[part] for part in parts if part in own and kind == "decisions"]
            found.append(Column(name, kind, None, max(asked, key=lambda share: abs(share - 0.5), default=None)))
    return found


def shown(column, evaluation):
    """The :class:`Shown` of an artifact; where the whole answer is not asked for, the first token stands in for it."""
    found = evaluation["sets"][column.set]
    figures = found["figures"] if column.part is None else found["parts"].get(column.part, {})
    name, other = main_figure(column.kind)
    if figures.get(name) is None and other and figures.get(other):
        return Shown(other, figures[other], FIRST)
    few = column.kind == "held_out" and found.get("reason")
    return Shown(name, figures.get(name), FEW if few else None)


def cell(column, evaluation):
    """What a cell of the table says: the figure with its interval, and below it what it rests on."""
    if column.set not in evaluation["sets"]:
        return None
    found, (_, estimate, special) = evaluation["sets"][column.set], shown(column, evaluation)
    if estimate is None:
        return html.span(found.get("reason") or "not asked", "quiet")
    loss = column.kind == "held_out"
    more = {"held_out": _texts, "pairs": _pairs, "decisions": _decisions}.get(column.kind, _questions)(column, found)
    special = {FEW: "few samples: see the paired differences", FIRST: "first token only"}.get(special)
    quiet = [worth(estimate), special, *more, *_left_out(found)]
    return html.lines(
        html.span(interval(estimate, loss), "name"), *(html.span(each, "quiet name") for each in quiet if each)
    )


def count(number, what):
    """``1 file``, ``2 files``."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def percent(value):
    """A share in percent; what is not all is not written as 100."""
    said = f"{100 * value:.0f}"
    return f"{100 * value:.1f}" if said in ("0", "100") and 0 < value < 1 else said


def interval(estimate, loss):
    """An estimate with its interval: ``48 % [38, 55]`` or, of a loss, ``1.512 [1.402, 1.631]``."""
    write = (lambda value: f"{value:.3f}") if loss else percent
    unit = "" if loss else " %"
    if estimate["low"] is None:
        reason = "one group" if estimate["groups"] == 1 else "all equal"
        return f"{write(estimate['value'])}{unit} ({reason}: no interval)"
    return f"{write(estimate['value'])}{unit} [{write(estimate['low'])}, {write(estimate['high'])}]"


def worth(estimate):
    """What an estimate rests on: ``n 182 in 8 groups, worth 123``."""
    groups = f" in {count(estimate['groups'], 'group')}" if estimate["groups"] != estimate["n"] else ""
    effective = estimate.get("effective_n")
    counts_less = effective is not None and round(effective) < estimate["n"]
    return f"n {estimate['n']:,}{groups}" + (f", worth {effective:,.0f}" if counts_less else "")


def points(found):
    """A difference of shares: ``+23 points [+15, +31]``."""
    value, low, high = (None if found[key] is None else signed(100 * found[key]) for key in ("value", "low", "high"))
    return f"{value} points" + (f" [{low}, {high}]" if low is not None else " (no interval)")


def signed(value, digits=0):
    """A number with its sign; what rounds to 0 has none."""
    said = f"{value:+.{digits}f}".replace("-", "−")
    return said[1:] if not said.strip("+−0.") else said


def _left_out(found):
    return [f"{len(found['too_long'])} left out, too long"] if found.get("too_long") else []


def _texts(column, found):
    perplexity, calibration = found.get("perplexity"), found.get("calibration")
    if perplexity and perplexity["value"] is not None:
        low, high = perplexity["low"], perplexity["high"]
        ends = f" [{low:.3g}, {high:.3g}]" if low is not None and high is not None else ""
        yield f"perplexity {perplexity['value']:.3g}{ends}"
    if found.get("tokens"):
        yield f"{found['tokens']:,} tokens"
    if calibration:
        yield f"{_error(calibration)}, n {count(calibration['tokens'], 'token')}"
        yield f"Brier {calibration['brier']:.3f}"


def _pairs(column, found):
    if notes := found.get("notes", {}).get(column.part):
        yield f"{count(notes['notes'], 'different note')} of {count(notes['tones'], 'tone')}"
    first = found["parts"][column.part].get("first_token")
    if first and found["parts"][column.part].get("accuracy"):
        yield f"first token {interval(first, False)}"


def _decisions(column, found):
    majority, ensemble = found["naive"]["majority"], found.get("ensemble")
    named = f"majority ({majority['side']})" if majority["side"] else "balanced:"
    yield f"{named} {percent(majority['value'])} %: {points(majority['model_minus_this'])}"
    if ensemble and ensemble["n"]:
        said = f"{percent(ensemble['ensemble']['value'])} %: {points(ensemble['model_minus_ensemble'])}"
        yield f"ensemble {said}, n {ensemble['n']}"
    elif ensemble:
        yield "ensemble: predicts none of these rows"
    yield from _calibration(found["calibration"])


def _questions(column, found):
    quality, ended = found["figures"].get("quality"), found["figures"].get("ended")
    if quality:
        ends = f" [{quality['low']:.2f}, {quality['high']:.2f}]" if quality["low"] is not None else ""
        yield f"quality {quality['value']:.2f}{ends} of 5"
    if ended:
        yield f"ended by itself {interval(ended, False)}"
    if guess := (found.get("naive") or {}).get("most_frequent"):
        named = f"most frequent answer ({guess['side']})" if guess["side"] else "any one answer"
        yield f"{named} {percent(guess['value'])} %: {points(guess['model_minus_this'])}"
    if surest := surest_half(found):
        yield f"surest {percent(surest['coverage'])} % of answers: {interval(surest, False)} right, n {surest['n']:,}"
    if found.get("calibration"):
        yield from _calibration(found["calibration"][STATED])


def surest_half(found):
    """The point of a set's risk-coverage curve at half of the answers, or None where they are equally sure."""
    points = (found.get("risk_coverage") or {"points": ()})["points"]
    return next((each for each in points if each["asked"] == 0.5 and each["coverage"] < 1), None)


def _calibration(found):
    asked = found.get("asked", found["n"])
    told = f" of {asked:,} that state something" if asked > found["n"] else ""
    yield f"{_error(found)}, n {found['n']:,}{told}"
    yield f"Brier {found['brier']:.3f} (constant {found['brier_of_constant']:.3f})"


def _error(found):
    chance = found.get("ece_if_calibrated")
    beside = f" (calibrated: {chance['mean']:.3f}, at most {chance['high']:.3f})" if chance else ""
    return f"calibration error {found['ece']:.3f}{beside}"
