"""Questions on the state of real rows: describe it, judge one of its figures, or compute one from its prices.

Every number is the row's own; what is computed is computed from the prices as they are written.
"""

from scripts.common.errors import StudyError
from scripts.corpus import samples, states, templates

FORMAT = "messages"
TEMPLATES = ("states", "features")
TASKS = ("describe", "judge", "change", "position", "describe", "drawdown", "judge")
WINDOWS = (6, 12, 24, 48, 72, 120, 168)


def build(part):
    """The samples, symbol by symbol, in order of time; the tasks take turns."""
    for symbol, rows in part.rows.items():
        known = states.known_rows(rows.features)
        wanted = part.settings["per_symbol"]
        if len(known) < wanted:
            raise StudyError(f"part {part.name}: {symbol} has {len(known)} rows with features, {wanted} are asked for")
        places = samples.generator(part.seed, part.name, symbol).sample(range(len(known)), wanted)
        for number, place in enumerate(sorted(places)):
            yield _sample(part, symbol, rows, int(known[place]), TASKS[number % len(TASKS)])


def _sample(part, symbol, rows, row, task):
    bar = rows.bars.iloc[row]
    stamp = part.iso(bar["timestamp"])
    rng = samples.generator(part.seed, part.name, f"{symbol}|{stamp}")
    known = states.facts(rows.features, row)
    needed = (rng.choice(list(known)),) if task == "judge" else ()
    told = {name: known[name] for name in states.choose(known, rng.randint(4, 8), rng, needed)}
    labels = states.draw_labels(rng)
    write = {"describe": _describe, "judge": _judge}.get(task, _compute)
    question, answer, template, difficulty = write(rows.bars, row, told, needed, labels, task, rng)
    state = states.describe(
        symbol, part.timeframe, stamp[:16].replace("T", " "), float(bar["close"]), told, labels, rng
    )
    order = rng.choice(templates.load("features")["orders"])
    texts = {"state": state, "question": question}
    meta = samples.meta(
        part.name,
        "features",
        f"{symbol}/{stamp}",
        domain="market_trading",
        difficulty=difficulty,
        template=f"{task}/{template}",
        entity=symbol,
        group=part.period(bar["timestamp"]),
        names=[symbol],
        time=stamp,
        t1=stamp,
    )
    return samples.conversation("\n\n".join(texts[each] for each in order.split("_")), answer, meta)


def _describe(bars, row, told, needed, labels, task, rng):
    """A description of all facts that the question shows."""
    phrases = templates.load("features")["describe"]
    question = rng.choice(phrases["questions"])
    said = []
    for name in rng.sample(list(told), len(told)):
        form = rng.choice(phrases["forms"])
        said.append(
            form.format(label=labels[name], value=states.write(name, told[name]), word=states.word(name, told[name]))
        )
    opening, closing = rng.choice(phrases["openings"]), rng.choice(phrases["closings"])
    body = "; ".join(said)
    text = f"{opening} {body}." if opening else f"{body[0].upper()}{body[1:]}."
    return question, f"{text} {closing}".strip(), phrases["questions"].index(question), "medium"


def _judge(bars, row, told, needed, labels, task, rng):
    """What one figure is called, and on which scale."""
    phrases = templates.load("features")["judge"]
    (name,) = needed
    value, form = states.write(name, told[name]), rng.choice(phrases["questions"])
    scale = rng.choice(phrases["scales"]).format(steps=_scale(name))
    answer = rng.choice(phrases["answers"]).format(value=value, word=states.word(name, told[name]), scale=scale)
    return form.format(label=labels[name], value=value), answer, phrases["questions"].index(form), "easy"


def _scale(name):
    """A fact's words with their limits: "oversold under 30.0, weak under 45.0, ..."."""
    *steps, (_, last) = templates.load("states")["facts"][name]["words"]
    return ", ".join(f"{word} under {states.write(name, limit)}" for limit, word in steps) + f", {last} beyond"


def _compute(bars, row, told, needed, labels, task, rng):
    """One figure, computed from prices as they are written."""
    phrases = templates.load("features")["compute"][task]
    window = rng.choice([each for each in WINDOWS if each <= row])
    own = bars.iloc[row - window : row + 1]
    prices = {
        "price": own["close"].iloc[-1],
        "before": own["close"].iloc[0],
        "high": own["high"].iloc[1:].max(),
        "low": own["low"].iloc[1:].min(),
    }
    written = {name: states.write_price(float(value)) for name, value in prices.items()}
    price, before, high, low = (float(written[name]) for name in ("price", "before", "high", "low"))
    results = {
        "change": price / before - 1,
        "position": (price - low) / (high - low) if high > low else 0.5,
        "drawdown": price / high - 1,
    }
    form, answer = rng.choice(phrases["questions"]), rng.choice(phrases["answers"])
    filled = written | {"bars": window, "result": f"{100 * results[task]:.3f}"}
    return form.format(**filled), answer.format(**filled), phrases["questions"].index(form), "medium"
