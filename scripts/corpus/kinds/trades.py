"""Decisions on real rows by a stated rule, worked out condition by condition.

The rule stands in the question and the decision follows from the row's numbers as they are written; what the trade
would have brought is in ``meta.outcome`` only. BUY, SELL and HOLD take turns, so that no decision is the likely one.
"""

import numpy as np

from scripts.common.errors import StudyError
from scripts.corpus import outcomes, samples, states, templates

FORMAT = "messages"
TEMPLATES = ("states", "trades")
DECISIONS = ("BUY", "SELL", "HOLD")


def build(part):
    """The samples, symbol by symbol."""
    names = list(templates.load("trades")["rules"])
    for symbol, rows in part.rows.items():
        measured = outcomes.measure(rows.bars, part.settings["exit"])
        inside = [part.period(a) == part.period(b) for a, b in zip(measured["timestamp"], measured["t1"], strict=True)]
        measured = measured[inside].set_index("row")
        usable = np.intersect1d(states.known_rows(rows.features), measured.index.to_numpy())
        wanted = part.settings["per_symbol"]
        if len(usable) < wanted:
            raise StudyError(
                f"part {part.name}: {symbol} has {len(usable)} rows with features and an outcome that is known within "
                f"the period, and {wanted} are asked for; lower per_symbol"
            )
        used = set()
        for number in range(wanted):
            rng = samples.generator(part.seed, part.name, f"{symbol}|{number}")
            rule = draw_rule(names[number % len(names)], rng)
            row = _row(rule, DECISIONS[number // len(names) % 3], rows.features, usable, used, rng)
            used.add(row)
            yield _sample(part, symbol, rows, row, measured.loc[row], rule, rng)


def draw_rule(name, rng):
    """A rule with its limits drawn: ``{"name", "BUY": [(fact, comparison, limit)], "SELL": [...]}``."""
    known = templates.load("trades")["rules"][name]
    limits = {key: rng.choice(values) for key, values in known["limits"].items()}
    return {"name": name} | {
        side.upper(): [(fact, comparison, float(limits.get(limit, limit))) for fact, comparison, limit in known[side]]
        for side in ("buy", "sell")
    }


def decide(rule, values):
    """The decision of a rule on facts (``{name: value}``); numbers or arrays of equal length."""
    sides = {
        side: np.all([_holds(values[fact], comparison, limit) for fact, comparison, limit in rule[side]], axis=0)
        for side in ("BUY", "SELL")
    }
    return np.where(sides["BUY"], "BUY", np.where(sides["SELL"], "SELL", "HOLD"))


def as_written(name, value):
    """A fact's value as the text has it, rounded: the decision follows from what can be read."""
    text = states.write(name, value)
    return float(text.removesuffix(" %")) / 100 if text.endswith("%") else float(text)


def _row(rule, decision, features, usable, used, rng):
    """A row on which the rule gives the decision, not used before; any row where there is none."""
    needed = {fact for side in ("BUY", "SELL") for fact, _, _ in rule[side]}
    given = decide(rule, {fact: features[fact][usable] for fact in needed})
    for pool in (usable[given == decision], usable):
        for _ in range(50):
            row = int(pool[rng.randrange(len(pool))]) if len(pool) else None
            if row is not None and row not in used:
                return row
    return next(int(each) for each in usable if int(each) not in used)


def _sample(part, symbol, rows, row, outcome, rule, rng):
    phrases = templates.load("trades")
    stamp, price = part.iso(outcome.timestamp), float(rows.bars["close"].iloc[row])
    known = states.facts(rows.features, row)
    needed = tuple(dict.fromkeys(fact for side in ("BUY", "SELL") for fact, _, _ in rule[side]))
    told = {name: known[name] for name in states.choose(known, rng.randint(5, 9), rng, needed)}
    decision = str(decide(rule, {name: as_written(name, told[name]) for name in needed}))
    labels = states.draw_labels(rng)
    texts = {
        "state": states.describe(symbol, part.timeframe, stamp[:16].replace("T", " "), price, told, labels, rng),
        "rule": _rule_text(rule, labels, phrases, rng),
        "question": rng.choice(phrases["questions"]),
    }
    order = rng.choice(phrases["orders"])
    meta = samples.meta(
        part.name,
        "trades",
        f"{symbol}/{stamp}",
        domain="market_trading",
        difficulty="hard",
        template=f"{rule['name']}/{order}/{phrases['questions'].index(texts['question'])}",
        entity=symbol,
        group=part.period(outcome.timestamp),
        names=[symbol],
        time=stamp,
        t1=part.iso(outcome.t1),
    )
    gains = {side: round(float(outcome[side]), 8) for side in ("long", "short")}
    prompt = "\n\n".join(texts[each] for each in order.split("_"))
    return samples.conversation(prompt, _answer(rule, told, decision, labels, phrases, rng), meta | {"outcome": gains})


def _rule_text(rule, labels, phrases, rng):
    sides = {}
    for side in ("BUY", "SELL"):
        said = [
            f"the {labels[fact]} is {_comparison(fact, comparison, limit, phrases, rng)}"
            for fact, comparison, limit in rule[side]
        ]
        sides[side.lower()] = rng.choice(phrases["conjunctions"]).join(said)
    return rng.choice(phrases["rule_forms"]).format(**sides)


def _answer(rule, told, decision, labels, phrases, rng):
    """Both sides condition by condition, then the decision."""
    lines, form = [rng.choice(phrases["openings"])], rng.choice(phrases["checks"])
    heading = rng.choice(phrases["sides"])
    for side in ("BUY", "SELL"):
        said = []
        for fact, comparison, limit in rule[side]:
            holds = bool(_holds(as_written(fact, told[fact]), comparison, limit))
            text = form.format(
                label=labels[fact],
                value=states.write(fact, told[fact]),
                comparison=_comparison(fact, comparison, limit, phrases, rng),
                holds=rng.choice(phrases["holds"][holds]),
            )
            said.append(text[0].upper() + text[1:])
        lines.append(f"{heading.format(side=side)} {' '.join(said)}")
    return "\n".join([*lines, rng.choice(phrases["conclusions"][decision])])


def _comparison(fact, comparison, limit, phrases, rng):
    return rng.choice(phrases["comparisons"][comparison]).format(limit=_limit(fact, limit))


def _limit(fact, limit):
    """A limit in the format of its fact, without needless digits."""
    kind = templates.load("states")["facts"][fact]["format"]
    return f"{100 * limit:g} %" if kind in ("percent", "level") else f"{limit:g}"


def _holds(value, comparison, limit):
    return value > limit if comparison == ">" else value < limit
