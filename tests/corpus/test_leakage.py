"""The classifier finds style that betrays the choice, and finds none where there is none."""

import random

from scripts.corpus import leakage, skeletons
from tests.corpus.conversations import pair


def pairs(number, tell, seed=1):
    """Pairs of random words; with ``tell`` the rejected answer has a note in its style."""
    rng = random.Random(seed)
    made = []
    for place in range(number):
        words = " ".join(rng.choice(("firm", "weak", "calm", "wide", "narrow", "level")) for _ in range(8))
        side, other = rng.choice([("BUY", "SELL"), ("SELL", "BUY")])
        note = " Waiting is recommended." if tell else ""
        chosen, rejected = (
            f"The state is {words}. {side} at {place}.5",
            f"The state is {words}. {other} at {place}.7{note}",
        )
        made.append(pair(f"State {place}: {words}?", chosen, rejected, str(place), group=f"g{place // 10}"))
    return made


def test_a_note_in_the_rejected_answer_is_found():
    found = leakage.classify(pairs(300, True, 1), pairs(200, True, 2), 7)
    assert found.value > 0.99


def test_equal_texts_are_a_coin_toss_exactly():
    found = leakage.classify(pairs(300, False, 1), pairs(200, False, 2), 7)
    assert found.value == 0.5


def test_few_pairs_say_nothing():
    assert leakage.classify(pairs(300, True), pairs(leakage.LEAST_PAIRS - 1, True), 7) is None


def test_balance_counts_decisions_of_chosen_answers():
    made = [pair("q1", "BUY now", "SELL now", "1", group="a"), pair("q2", "SELL it", "BUY it", "2", group="a")]
    assert leakage.balance(made) == {"a": (1, 1)}


def test_masks():
    assert skeletons.mask("EURUSD rose 1.25 % to $1,234.50 on 2021-03-04", ()) == "@ rose # % to # on ###"
    assert skeletons.mask("Alice pays GARCH(1,1) 5 %", ["Alice", "GARCH(1,1)"]) == "@ pays @ # %"
    assert skeletons.mask("a value of n and nothing", ["n"]) == "a value of @ and nothing"
    assert skeletons.mask_decision("I choose BUY, not selling short") == "I choose ?, not ? ?"
