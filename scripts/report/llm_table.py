"""Language models on one page: what every artifact of a recipe answered, what changed between them, the gates of the
GGUF files and how the trainings went."""

from scripts.common.statistics.outcomes import outcome
from scripts.report import html_tables as html
from scripts.report.llm_sets import CALLED, cell, columns, count, interval, main_figure, percent, points, signed, worth

SMALL = 1e-3
TRAINING_HEAD = ("stage", "steps", "trained on", "left out, too long", "validation loss", "health", "rows halved")
GGUF_HEAD = ("file", "verdict", "mean KL, nats", "equal decisions", "equal greedy tokens", "perplexity, model and file")
PAIRED = (
    "Both were asked the same questions, so that how hard these are does not blur the difference; the interval is that "
    "of the difference. Better and worse are said where it does not contain 0 and where p, counted for all comparisons "
    "of the figure, is below 0.05."
)
TERMS = (
    ("Artifact", "one thing that can be asked: the base, an adapter on it, the merged model, or a GGUF file of it."),
    ("sft", "supervised fine-tuning: the base learns to give the corpus's answers. Phases follow each other."),
    ("dpo", "direct preference optimisation: of two answers the chosen one is to become likelier."),
    ("grpo", "group-relative policy optimisation: a rule rewards the better ones of several answers."),
    ("merged", "the base with the last adapter's changes added to its weights: a model of its own."),
    ("F32, Q8_0, ...", "GGUF files of the merged model for llama.cpp, in a number format. Q8_0 has 8 bits a weight."),
    ("[low, high]", "a 95 % interval over groups: the values of the true figure that agree with these answers."),
    ("n, groups, worth", "questions asked; those of one template or period are one group, since they are right and "
     "wrong together; so n questions say as much as the number of separate ones that they are worth."),
    ("Held-out", "never trained on, and of other groups (for market rows: later in time) than what was. "
     "Notes are an exception: those of held-out questions are put together like those of training and stand there too, "
     "at the end of pairs; only the questions were never asked."),
    ("Loss, perplexity", "how surprised the model is by right answers, in nats a token; perplexity is e to that."),
    ("Quality", "1 to 5 by the rubric that is stated in the evaluation's file: up to 2 is wrong, 4 and 5 are right."),
    ("Preference accuracy", "of two answers to a prompt, how often the chosen one is likelier. 50 % is chance."),
    ("First token", "only the first token in which the two answers differ is compared: all that llama.cpp is asked."),
    ("Surest answers", "how many are right of those whose stated words the model finds likeliest; an answer that "
     "states nothing is the least sure. llms.csv has the whole curve."),
    ("Calibration error, Brier", "the mean distance between how sure the model is and how often it is right, beside it "
     "what chance makes of it in so many answers of a model that is perfectly calibrated (the mean, and what 95 % stay "
     "below); and the mean squared distance. A Brier score above that of a constant answer says that its confidence is "
     "worth nothing."),
    ("Majority, balanced, ensemble", "how often they are right on the same rows, and by how many points the model is "
     "above them. The rows are chosen: exactly one side gained on each, and as many BUY as SELL in each symbol and "
     "period, so that one side every time is right on half of them (balanced), or on the share of the majority where "
     "only some are asked. The ensemble is judged on these rows too, and was trained for another label."),
    ("Most frequent answer", "the answer that is expected most often in these very questions, given every time."),
    ("KL", "how far the file's probabilities are from the model's; 0 is none."),
    ("Rows halved", "a row, which is what is computed at once, did not fit into the GPU's memory; its tokens "
     "before and after. A step has more of the smaller rows, so the training is the same."),
    ("No difference that the data show", "the interval contains 0, or p is 0.05 or more. It does not prove that there "
     "is none."),
)  # fmt: skip


def page(recipes, planted):
    """The page as text.

    ``recipes``: arguments of :func:`section` by name; ``planted``: ``{"notes": {corpus: {part: agreement}}, "markets":
    {corpus: {"market", "signal"}}}``.
    """
    files = [each["passed"] for recipe in recipes.values() for each in recipe["verifications"].values()]
    notes = planted["notes"]
    asked = sum(len(recipe["evaluations"]) for recipe in recipes.values())
    lead = (
        f"{count(len(recipes), 'recipe')}, {count(asked, 'artifact')} asked. Every artifact of a recipe is asked the "
        "same held-out questions, from the untrained base to the files that are handed on, so that each step shows "
        f"what it changed. {_passed(files)} Terms are explained at the end of the page."
    )
    said = list(_planted(planted, recipes))
    return html.page(
        "Language models",
        html.paragraph(lead),
        *([html.heading("What is planted"), html.items(said)] if said else []),
        *[part for name, each in recipes.items() for part in section(name, notes=notes, **each)],
        html.heading("Terms"),
        html.items(html.Html(f"<b>{html.text(term)}</b>: {html.text(meaning)}") for term, meaning in TERMS),
    )


def section(name, about, preflight, trainings, verifications, evaluations, comparison, notes):
    """The parts of the page about one recipe.

    ``about``: dict with base, base_kind, corpus, method, r, stages, artifacts and sets (``{set: corpus}``); ``notes``:
    ``{corpus: {part: agreement}}``; the others: contents of the files, those of several things as ``{name: content}``
    in their order; ``comparison`` is None where nothing is evaluated.
    """
    kept = columns(about, evaluations, notes)
    compared = list(_compared(kept, comparison)) if comparison else []
    found = [html.heading(f"Recipe {name}"), html.paragraph(_lead(about, compared))]
    for warning in preflight.get("warnings", ()):
        found.append(html.paragraph(html.Html(f"{html.span('Warning', 'bad')}: {html.text(warning)}")))
    if evaluations:
        head = ["artifact", *map(_head, kept)]
        rows = [
            [html.span(artifact, "name"), *(cell(column, each) for column in kept)]
            for artifact, each in evaluations.items()
        ]
        found += [html.table(head, rows), *_details(about, evaluations)]
    if comparison:
        found += [_bold("What changed"), html.paragraph(PAIRED), *_changes(about, compared)]
    if verifications:
        rows = [_verification(each) for each in verifications.values()]
        found += [_bold("GGUF files against the merged model"), html.table(GGUF_HEAD, rows)]
        found += [html.items(each["reasons"]) for each in verifications.values() if each["reasons"]]
    return [
        *found,
        _bold("Trainings"),
        html.table(TRAINING_HEAD, [_training(*each) for each in trainings.items()], (1,)),
    ]


def _passed(files):
    return f"{sum(files)} of {count(len(files), 'GGUF file')} passed the gates." if files else ""


def _bold(value):
    return html.paragraph(html.Html(f"<b>{html.text(value)}</b>"))


def _planted(planted, recipes):
    known = _notes(recipes)
    for corpus, parts in planted["notes"].items():
        for part, agreement in parts.items():
            if agreement == 0.5:
                said = (
                    f"Part {part} of corpus {corpus}: a note at the end of each question names the chosen side in half "
                    "of the pairs, which is chance. It is the control: training on preferences should change nothing "
                    "here."
                )
            else:
                said = (
                    f"Part {part} of corpus {corpus}: a note at the end of each question names the chosen side in "
                    f"{percent(agreement)} % of the pairs. The study planted it: training on preferences can learn it. "
                    "It is no property of a market."
                )
            yield f"{said}{known.get((corpus, part), '')}"
    for corpus, each in planted["markets"].items():
        yield (
            f"Corpus {corpus} has rows of market {each['market']}, which is simulated: a part of its returns, of "
            f"strength {each['signal']:g}, can be predicted. What is decided well here says nothing of a real market."
        )


def _notes(recipes):
    """``{(corpus, part): sentence}``: how many notes the held-out pairs of a part have, and where they come from."""
    said = {}
    for recipe in recipes.values():
        for name, corpus in recipe["about"]["sets"].items():
            for evaluation in recipe["evaluations"].values():
                for part, each in evaluation["sets"].get(name, {}).get("notes", {}).items():
                    said[corpus, part] = (
                        f" The held-out pairs have {count(each['notes'], 'different note')} of "
                        f"{count(each['tones'], 'tone')}, and training saw these: it draws on the same list. What is "
                        "shown is that tones were learned, not that new words are understood."
                    )
    return said


def _head(column):
    planted = {None: None, 0.5: "control: its notes say nothing"}.get(column.agreement, "with a planted signal")
    return html.lines(column.title, html.span(html.lines(CALLED[column.kind], planted), "quiet"))


def _lead(about, compared):
    made = " The base was made by this study and is small: it shows the chain, not skill."
    made = made if about["base_kind"] == "scratch" else ""
    steps = ", then ".join(about["artifacts"][1:])
    lead = f"Base {about['base']}, corpus {about['corpus']}, {about['method']} of rank {about['r']}: {steps}.{made}"
    if not about["sets"]:
        return f"{lead} No evaluation is configured."
    kept = [each for each in compared if each[0] == (about["artifacts"][0], "merged")]
    told = [f"{column.title} {_difference(each)}" for _, column, each in kept if each["n"]]
    return f"{lead} From the base to the merged model: {'; '.join(told)}." if told else lead


def _details(about, evaluations):
    """Sets with several parts, part by part, folded away."""
    for name in about["sets"]:
        known = {artifact: each["sets"][name] for artifact, each in evaluations.items() if name in each["sets"]}
        parts = sorted({part for each in known.values() for part in each["parts"]})
        kind = next(iter(known.values()))["kind"] if known else None
        if kind == "pairs" or len(parts) < 2:
            continue
        figure, loss = main_figure(kind)[0], kind == "held_out"
        rows = [
            [part, *(_part(each["parts"].get(part, {}).get(figure), loss) for each in known.values())] for part in parts
        ]
        table = html.table([name, *known], rows)
        yield html.Html(f"<details><summary>{html.text(name)} by part ({len(parts)})</summary>{table}</details>")


def _part(estimate, loss):
    if estimate is None:
        return None
    return html.lines(html.span(interval(estimate, loss), "name"), html.span(worth(estimate), "quiet name"))


def _compared(kept, comparison):
    """``((a, b), column, comparison)`` of the figures that are shown, in the order of the columns ``kept``."""
    by_key = {
        (each["a"], each["b"], each["set"], each["figure"], each["part"]): each for each in comparison["comparisons"]
    }
    for pair in dict.fromkeys((each["a"], each["b"]) for each in comparison["comparisons"]):
        for column in kept:
            figures = [name for name in main_figure(column.kind) if name]
            # a set of one part is compared as a whole only
            places = [(figure, part) for figure in figures for part in dict.fromkeys((column.part, None))]
            several = sum(each.set == column.set for each in kept) > 1
            keys = [(*pair, column.set, *each) for each in places if not (several and each[1] is None)]
            there = [by_key[key] for key in keys if key in by_key]
            if there:
                yield pair, column, next((each for each in there if each["n"]), there[0])


def _changes(about, compared):
    """Sentences, pair by pair: each artifact against what it was made from, and the policies against the base."""
    told, same = {}, {}
    for (a, b), column, each in compared:
        if a == about["artifacts"][0] and b not in about["stages"]:
            continue
        sentences = told.setdefault((a, b), [])
        if each["n"] and not (each["difference"] or each["low"] or each["high"]):
            same.setdefault((a, b), []).append(f"{column.title} (n {each['n']:,})")
        else:
            sentences.append(f"{column.title}{_aside(column, each)}: {_sentence(each)}")
    for (a, b), sentences in told.items():
        yield html.paragraph(f"{b} against {a}")
        rest = [f"No difference at all on {', '.join(same[a, b])}."] if (a, b) in same else []
        yield html.items([*sentences, *rest])


def _aside(column, each):
    said = ["planted signal" if column.agreement != 0.5 else "control"] if column.agreement is not None else []
    said += ["first token"] if each["figure"] == "first_token" else []
    return f" ({', '.join(said)})" if said else ""


def _sentence(each):
    if not each["n"]:
        return f"{each['verdict']}."
    loss = each["figure"] == "loss"
    write = (lambda value: f"{value:.3f}") if loss else (lambda value: f"{percent(value)} %")
    values = f"{write(each['value_a'])} to {write(each['value_b'])}"
    left = f", {each['unpaired']} not asked of both" if each["unpaired"] else ""
    return f"{_difference(each)}, {values}, {worth(each)}{left}: {_judged(each)}."


def _difference(each):
    if each["figure"] != "loss":
        return points({"value": each["difference"], "low": each["low"], "high": each["high"]})
    known = [each[key] for key in ("difference", "low", "high") if each[key] is not None]
    small = max(map(abs, known)) < SMALL
    value, *ends = (f"{number:+.1e}".replace("-", "−") if small else signed(number, 3) for number in known)
    return f"{value} nats" + (f" [{', '.join(ends)}]" if ends else " (no interval)")


def _judged(each):
    found = outcome(each)
    if found in ("better", "worse"):
        return f"{found}, by less than a thousandth" if abs(each["difference"]) < SMALL else found
    p, p_holm = each.get("p"), each["p_holm"]
    return {
        "one group": "all are of one group, so nothing can be said of a difference",
        "equal": "all differences are equal, in too few groups to say more",
        "noise": "no difference that the data show",
        "single": "no difference that the data show" + ("" if p is None else f" (p {p:.2g})"),
        "holm": "no difference that the data show when all comparisons of this figure are counted "
        f"(p {p_holm or 1:.2g})",
    }[found]


def _verification(found):
    gates = {each["gate"]: each for each in found["gates"]}
    failed = sum(not each["passed"] for each in found["gates"])
    style, word = ("good", "passed") if found["passed"] else ("bad", f"refused by {failed} of")
    perplexity = found["figures"].get("perplexity")
    both = [perplexity[key] for key in ("model", "file")] if perplexity else []
    return [
        html.span(found["gguf"], "name"),
        html.span(f"{word} {count(len(gates), 'gate')}", style),
        _gate(gates.get("divergence"), lambda value: f"{value:.2g}", "≤", "positions"),
        _gate(gates.get("decisions"), lambda value: f"{percent(value)} %", "≥", "decisions"),
        _gate(gates.get("greedy"), lambda value: f"{percent(value)} %", "≥", "tokens"),
        html.lines(*(f"{each:.5g}" for each in both if each is not None)) or None,
    ]


def _gate(gate, write, sign, what):
    if gate is None or gate["value"] is None:
        return html.span((gate or {}).get("reason") or "not measured", "quiet")
    ends = f" [{write(gate['low'])}, {write(gate['high'])}]" if gate.get("low") is not None else ""
    mark, style = ("✓", "met") if gate["passed"] else ("✗", "failed")
    texts = f" in {count(gate['texts'], 'text')}" if gate.get("texts") else ""
    # percent signs inside brackets would be read twice
    said = f"{write(gate['value'])}{ends.replace(' %', '')}"
    return html.lines(
        html.span(f"{mark} {said}", style),
        html.span(f"{sign} {write(gate['limit'])}, n {gate['n']:,} {what}{texts}", "quiet name"),
    )


def _training(stage, found):
    counted = [f"{found[name]:,} {name}" for name in ("samples", "pairs", "prompts") if found.get(name) is not None]
    counted += [f"{found['tokens']:,} tokens"] if found.get("tokens") else []
    losses = found["validation_losses"]
    told = [f"{losses[0]:.3f} to {losses[-1]:.3f}", f"best {min(losses):.3f} of {len(losses)}"] if losses else []
    if found.get("mean_reward_first_tenth") is not None:
        told.append(f"mean reward {found['mean_reward_first_tenth']:.3f} to {found['mean_reward_last_tenth']:.3f}")
    halved = [f"{old:,} tokens to {new:,}" for old, new in found["rows_halved"]]
    halved += [f"{old:,} completions to {new:,}" for old, new in found.get("completions_halved") or ()]
    return [
        html.span(stage, "name"),
        f"{found['steps']:,}",
        html.lines(*counted),
        len(found["too_long"]) if found.get("too_long") else None,
        html.lines(*told) or None,
        _health(found["health"]),
        html.lines(*halved) or "no",
    ]


def _health(health):
    if not health["findings"]:
        return html.span("nothing found", "met")
    found = [
        html.lines(
            html.span(f"step {each['step']}: {each['class'].replace('_', ' ')} ({each['severity']})", "name"),
            html.span(each["remedy"], "quiet"),
        )
        for each in health["findings"][:5]
    ]
    more = sum(health["counts"].values()) - len(found)
    return html.lines(*found, f"and {more} more" if more > 0 else None)
