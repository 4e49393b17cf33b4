"""Preference pairs on real rows: the chosen side is the one that the outcome after costs supports.

Chosen and rejected answer are one text, drawn once and written twice: they differ in the decision and in the prices of
its plan, so no style betrays the choice. Only rows on which exactly one side gains after costs are used, and each
symbol has as many chosen BUY as SELL in every period.

A part may plant a text signal: a note at the end of the question whose tone names a direction. It agrees with the
chosen side in a given share of the pairs: 1 is a full signal, 0.5 a note that says nothing.
"""

import math

from scripts.common.errors import StudyError
from scripts.corpus import outcomes, samples, states, templates

FORMAT = "preferences"
TEMPLATES = ("states", "preferences")
SIDES = {"BUY": 1, "SELL": -1}
FACTS = (6, 10)
# an answer: what is read, why, and the decision with its plan; or the decision and its plan alone
FORMS = {"last": "{facts} {reasons} {plan}", "first": "{verdict} {ticket}"}
DIRECTIONS = {"BUY": "up", "SELL": "down"}


def build(part):
    """The pairs, symbol by symbol, period by period."""
    for symbol, rows in part.rows.items():
        chosen = _choose(part, symbol, rows)
        notes = _notes(part, symbol, chosen) if part.settings.get("note") else {}
        for row, outcome, side in chosen:
            yield _pair(part, symbol, rows, row, outcome, side, notes.get(row))


def _choose(part, symbol, rows):
    """``(row, outcome, side)`` of the rows to write, balanced in every period."""
    wanted = part.settings["per_symbol"]
    known = set(states.known_rows(rows.features).tolist())
    candidates = {}
    for outcome in outcomes.measure(rows.bars, part.settings["exit"]).itertuples():
        period = part.period(outcome.timestamp)
        decided = (outcome.long > 0) != (outcome.short > 0)
        if decided and outcome.row in known and part.period(outcome.t1) == period:
            side = "BUY" if outcome.long > 0 else "SELL"
            candidates.setdefault(period, {"BUY": [], "SELL": []})[side].append(outcome)
    there = {period: min(len(each["BUY"]), len(each["SELL"])) for period, each in sorted(candidates.items())}
    if 2 * sum(there.values()) < wanted:
        raise StudyError(
            f"part {part.name}: {symbol} has {2 * sum(there.values())} rows that can be balanced (one side gains after "
            f"costs, the outcome is known within the period) and {wanted} are asked for; lower per_symbol"
        )
    found = []
    for period, number in share_out(wanted // 2, there).items():
        rng = samples.generator(part.seed, part.name, f"{symbol}|{period}")
        for side in SIDES:
            picked = rng.sample(candidates[period][side], number)
            found += [(each.row, each, side) for each in picked]
    return sorted(found, key=lambda each: each[0])


def share_out(wanted, there):
    """``{key: number}`` that adds up to ``wanted``, in proportion to ``there`` and at most as many.

    The remainders of rounding go to the largest fractions, the first of equals.
    """
    total = sum(there.values())
    exact = {key: wanted * number / total for key, number in there.items()} if total else {}
    whole = {key: int(value) for key, value in exact.items()}
    order = sorted(exact, key=lambda key: (whole[key] - exact[key], key))
    rest = wanted - sum(whole.values())
    while rest:
        for key in order:
            if rest and whole[key] < there[key]:
                whole[key] += 1
                rest -= 1
    return whole


def _notes(part, symbol, chosen):
    """``{row: {"direction", "agrees"}}``: where the note of each pair points, and whether the chosen side agrees.

    Generators of their own draw it: a note, or another agreement, changes nothing else of any pair.
    """
    cells = {}
    for row, outcome, side in chosen:
        cells.setdefault(part.period(outcome.timestamp), {name: [] for name in SIDES})[side].append(row)
    order = []
    for period, rows in cells.items():
        rng = samples.generator(part.seed, part.name, f"{symbol}|{period}|note")
        order += [(side, rng.sample(rows[side], len(rows[side]))) for side in rng.sample(list(SIDES), len(SIDES))]
    agreeing = shares(part.settings["note"]["agreement"], [len(rows) for _, rows in order])
    opposite = dict(zip(SIDES, reversed(SIDES), strict=True))
    notes = {}
    for (side, rows), number in zip(order, agreeing, strict=True):
        for place, row in enumerate(rows):
            agrees = place < number
            notes[row] = {"direction": DIRECTIONS[side if agrees else opposite[side]], "agrees": agrees}
    return notes


def shares(share, counts):
    """``share`` of each of ``counts`` as whole numbers, in order, what rounding leaves carried on to the next.

    So the sum over any run of neighbours (a period, the periods of a split) is less than one off.
    """
    found, total, given = [], 0, 0
    for count in counts:
        total += count
        # rounded first: 0.29 * 100 is 28.999999999999996
        found.append(math.floor(round(share * total, 9)) - given)
        given += found[-1]
    return found


def _pair(part, symbol, rows, row, outcome, side, note):
    phrases, exit = templates.load("preferences"), part.settings["exit"]
    stamp, price = part.iso(outcome.timestamp), float(rows.bars["close"].iloc[row])
    rng = samples.generator(part.seed, part.name, f"{symbol}|{stamp}")
    known = states.facts(rows.features, row)
    told = {name: known[name] for name in states.choose(known, rng.randint(*part.settings.get("facts", FACTS)), rng)}
    labels = states.draw_labels(rng)
    state = states.describe(symbol, part.timeframe, stamp[:16].replace("T", " "), price, told, labels, rng)
    numbers = {
        "profit": f"{exit['take_profit']:g}",
        "loss": f"{exit['stop_loss']:g}",
        "width": states.FORMATS["level"](outcome.width),
        "horizon": exit["horizon"],
        "cost": states.FORMATS["level"](exit["cost"]),
    }
    texts = {
        "state": state,
        "exit": rng.choice(phrases["exits"]).format(**numbers),
        "question": rng.choice(phrases["questions"]),
    }
    order = rng.choice(phrases["orders"])
    if note:
        order = f"{order}_note"
        own = samples.generator(part.seed, part.name, f"{symbol}|{stamp}|note")
        frame, tone, texts["note"] = _write_note(note["direction"], own)
        note = note | {"frame": frame, "tone": tone}
    prompt = "\n\n".join(texts[each] for each in order.split("_"))
    form = part.settings.get("decision", "last")
    answers = _answers(phrases, told, labels, price, outcome.width, exit, rng, FORMS[form])
    other = "SELL" if side == "BUY" else "BUY"
    meta = samples.meta(
        part.name,
        "preferences",
        f"{symbol}/{stamp}",
        domain="market_trading",
        difficulty="hard",
        template=f"{order}/{phrases['questions'].index(texts['question'])}",
        entity=symbol,
        group=part.period(outcome.timestamp),
        names=[symbol],
        time=stamp,
        t1=part.iso(outcome.t1),
    )
    outcome = {"chosen": side, "long": round(float(outcome.long), 8), "short": round(float(outcome.short), 8)}
    meta |= {"outcome": outcome} | ({"note": note} if note else {})
    return samples.preference(prompt, answers[side], answers[other], meta)


def _write_note(direction, rng):
    """``(frame, tone, note)``: a note whose tone is ``direction``, up or down, and the numbers of its frame and tone,
    which do not depend on it."""
    frames, tones = (templates.load("preferences")["notes"][name] for name in ("frames", "tones"))
    frame, tone = rng.choice(range(len(frames))), rng.choice(range(len(tones[direction])))
    return frame, tone, frames[frame].format(note=tones[direction][tone])


def _answers(phrases, told, labels, price, width, exit, rng, whole):
    """``{side: text}``: one text with the decision and the prices of its plan filled in, in the form ``whole``."""
    opening, form = rng.choice(phrases["openings"]), rng.choice(phrases["facts"])
    said = [
        form.format(label=labels[name], value=states.write(name, told[name]))
        for name in rng.sample(list(told), rng.randint(min(3, len(told)), min(5, len(told))))
    ]
    reasons = " ".join(rng.sample(phrases["reasons"], rng.randint(1, 2)))
    forms = {name: rng.choice(phrases[f"{name}s"]) for name in ("plan", "verdict", "ticket")}
    grounds = {"facts": f"{opening} {'; '.join(said)}.", "reasons": reasons}
    answers = {}
    for side, sign in SIDES.items():
        prices = {
            "entry": price,
            "stop": price * math.exp(-sign * exit["stop_loss"] * width),
            "target": price * math.exp(sign * exit["take_profit"] * width),
        }
        written = {name: states.write_price(value) for name, value in prices.items()}
        filled = {name: form.format(side=side, horizon=exit["horizon"], **written) for name, form in forms.items()}
        answers[side] = whole.format(**grounds, **filled)
    return answers
