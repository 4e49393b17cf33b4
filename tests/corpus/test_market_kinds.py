"""Samples from market rows: what they say is so, what they must not say they do not."""

import dataclasses
import re
from collections import Counter

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.common.periods import period_of
from scripts.corpus import defects, kinds, outcomes, skeletons, states
from scripts.corpus.kinds import preferences, trades
from scripts.corpus.samples import answers_of, prompt_of
from tests.corpus.conversations import CHECKS, EXIT, market_part

KINDS = ("features", "trades", "preferences")


@pytest.fixture(scope="module", params=KINDS)
def part(request):
    return market_part(request.param, 300)


@pytest.fixture(scope="module")
def made(part):
    return list(kinds.load(part.settings["kind"]).build(part))


def test_counts_and_unique_questions(part, made):
    assert Counter(each["meta"]["entity"] for each in made) == {"AAA": 300, "BBB": 300}
    assert len({prompt_of(each) for each in made}) == len(made)
    assert len({each["meta"]["id"] for each in made}) == len(made)


def test_equal_on_a_rerun(part, made):
    assert list(kinds.load(part.settings["kind"]).build(part)) == made


def test_one_more_symbol_changes_no_other(part, made):
    alone = dataclasses.replace(part, rows={"BBB": part.rows["BBB"]})
    assert list(kinds.load(part.settings["kind"]).build(alone)) == [e for e in made if e["meta"]["entity"] == "BBB"]


def test_no_sample_is_wrong_and_skeletons_are_many(made):
    assert defects.find(made, CHECKS) == {}
    found = skeletons.measure(made)
    assert found["skeletons"] >= 0.9 * len(made) and found["largest_share"] <= 0.01


def test_rows_whose_outcome_lies_in_a_later_period_are_not_used(made):
    for each in made:
        assert (
            period_of(each["meta"]["t1"], "month") == each["meta"]["group"] == period_of(each["meta"]["time"], "month")
        )


def test_the_numbers_are_those_of_the_row(part, made):
    """Every fact of the state is found in the features of its row, in its format."""
    facts = {label: name for name, each in _facts().items() for label in each["label"]}
    pattern = re.compile(
        "("
        + "|".join(sorted(map(re.escape, facts), key=len, reverse=True))
        + r")(?:: | = | \| | is | stands at | reads )"
        r"([-+]?\d+(?:\.\d+)?(?: %)?)"
    )
    for each in made[::29]:
        rows = part.rows[each["meta"]["entity"]]
        place = np.flatnonzero(rows.bars["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ") == each["meta"]["time"])[0]
        found = pattern.findall(prompt_of(each))
        assert len(found) >= 4
        for label, value in found:
            name = facts[label]
            assert states.write(name, float(rows.features[name][place])) == value


def test_later_bars_change_no_text():
    """With everything after a row's label altered, the texts of rows before it stay: no future in them."""
    whole = market_part("trades", 60, symbols=("AAA",))
    bars = whole.rows["AAA"].bars
    prompts = {each["meta"]["time"]: each for each in kinds.load("trades").build(whole)}
    for time, sample in list(prompts.items())[:20]:
        place = int(np.flatnonzero(bars["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ") == time)[0])
        known = states.facts(whole.rows["AAA"].features, place)
        written = {states.write(name, value) for name, value in known.items()}
        shown = re.findall(r"[-+]\d+\.\d{3} %", prompt_of(sample))
        assert set(shown) <= written
        future = {f"{value:.4f}" for value in bars["close"].iloc[place + 1 : place + 25]}
        assert not any(
            value in prompt_of(sample) + answers_of(sample)[0]
            for value in future - {f"{bars['close'].iloc[place]:.4f}"}
        )


def test_decisions_follow_from_the_numbers_as_written():
    part = market_part("trades", 180)
    made = list(trades.build(part))
    decisions = Counter(answers_of(each)[0].rsplit(None, 1)[-1].strip(".") for each in made)
    assert set(decisions) == {"BUY", "SELL", "HOLD"} and min(decisions.values()) > 80
    limit = re.compile(
        r"(?:RSI\(14\)|RSI over 14 bars|14-bar relative strength index) is (\d+\.\d); it has to be "
        r"(?:above|greater than|over) (\d+): (holds|it is not|it is|yes|fulfilled|not fulfilled|no|does not hold)"
    )
    seen = 0
    for each in made:
        for value, bound, said in limit.findall(answers_of(each)[0]):
            seen += 1
            assert (float(value) > float(bound)) == (said in ("holds", "it is", "yes", "fulfilled"))
    assert seen > 10


def test_a_rule_decides_as_it_says():
    rule = {"name": "made", "BUY": [("rsi_14", "<", 40.0)], "SELL": [("rsi_14", ">", 60.0)]}
    assert trades.decide(rule, {"rsi_14": np.array([39.9, 40.0, 60.0, 60.1])}).tolist() == [
        "BUY",
        "HOLD",
        "HOLD",
        "SELL",
    ]
    assert trades.as_written("roc_24", 0.0123456) == pytest.approx(0.01235)


def test_pairs_differ_in_the_decision_and_its_prices_only():
    part = market_part("preferences", 200)
    for each in preferences.build(part):
        chosen, rejected = (skeletons.mask_decision(text) for text in answers_of(each))
        assert chosen == rejected
        assert set(re.findall(r"\b(?:BUY|SELL)\b", answers_of(each)[0])) == {each["meta"]["outcome"]["chosen"]}


def test_the_chosen_side_gained_after_costs_and_the_other_did_not():
    part = market_part("preferences", 200)
    for each in preferences.build(part):
        outcome = each["meta"]["outcome"]
        gains = {"BUY": outcome["long"], "SELL": outcome["short"]}
        assert gains[outcome["chosen"]] > 0 >= gains["SELL" if outcome["chosen"] == "BUY" else "BUY"]


def test_decisions_are_balanced_in_every_period_even_where_prices_rise():
    part = market_part("preferences", 200, drift=0.0004)
    counts = {}
    for each in preferences.build(part):
        counts.setdefault((each["meta"]["entity"], each["meta"]["group"]), []).append(each["meta"]["outcome"]["chosen"])
    assert len(counts) > 10
    for chosen in counts.values():
        assert chosen.count("BUY") == chosen.count("SELL")


def test_outcomes_of_both_sides_by_hand():
    """A steady rise: the long position takes its profit at the barrier, the short one is stopped out."""
    part = market_part("trades", 10, symbols=("AAA",), bars=2000)
    bars = part.rows["AAA"].bars
    measured = outcomes.measure(bars, EXIT).set_index("row")
    close, high, low, opened = (bars[name].to_numpy() for name in ("close", "high", "low", "open"))
    for row in measured.index[::97]:
        sigma = np.diff(np.log(close[row - 72 : row + 1])).std(ddof=1)
        width = sigma * np.sqrt(24)
        assert measured.loc[row, "width"] == pytest.approx(width)
        for side, sign in (("long", 1), ("short", -1)):
            gain = None
            for bar in range(row + 1, row + 25):
                worst, best = (low[bar], high[bar]) if sign > 0 else (high[bar], low[bar])
                if sign * np.log(worst / close[row]) <= -width:
                    gain = min(-width, sign * np.log(opened[bar] / close[row]))
                elif sign * np.log(best / close[row]) >= width:
                    gain = width
                if gain is not None:
                    break
            if gain is None:
                gain = sign * np.log(close[row + 24] / close[row])
            assert measured.loc[row, side] == pytest.approx(gain - 0.0002)


def test_too_few_rows_are_an_error_with_the_number_there_is():
    for kind in KINDS:
        with pytest.raises(StudyError, match=r"AAA has \d+ rows"):
            list(kinds.load(kind).build(market_part(kind, 100_000, symbols=("AAA",), bars=1500)))


def test_unknown_facts_are_left_out():
    part = market_part("features", 40, symbols=("AAA",))
    rows = part.rows["AAA"]
    silent = {
        name: np.full_like(values, np.nan) if "volume" in name else values for name, values in rows.features.items()
    }
    quiet = dataclasses.replace(part, rows={"AAA": dataclasses.replace(rows, features=silent)})
    text = "\n".join(prompt_of(each) for each in kinds.load("features").build(quiet))
    assert "volume" not in text and "nan" not in text


def test_share_out_is_proportional_and_complete():
    assert preferences.share_out(10, {"a": 30, "b": 10, "c": 60}) == {"a": 3, "b": 1, "c": 6}
    assert preferences.share_out(7, {"a": 1, "b": 100}) == {"a": 0, "b": 7}
    assert preferences.share_out(101, {"a": 1, "b": 100}) == {"a": 1, "b": 100}
    assert preferences.share_out(0, {"a": 3}) == {"a": 0}


def _facts():
    from scripts.corpus import templates

    return templates.load("states")["facts"]
