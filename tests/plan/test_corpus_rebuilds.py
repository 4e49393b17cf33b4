"""Precise rebuilds of the corpus stage: one changed template, formula or count reruns only what uses it."""

import copy
import shutil
from pathlib import Path

import pytest

from tests.planning import plan
from tests.tiny import TALK, jobs_run, snakemake, write_study

PAGES = ["tabulate_corpora", "tabulate_failures", "tabulate_times", "write_manifest"]


@pytest.fixture
def checkout(talked, tmp_path):
    """A copy of the built checkout of corpora, to edit."""
    return Path(shutil.copytree(talked, tmp_path / "checkout", symlinks=True))


def followed(corpus, parts, formats=("messages",), extra=()):
    """The jobs of some parts and of what follows from them."""
    jobs = [f"write_part {corpus} {part}" for part in parts]
    jobs += [f"assemble_corpus {corpus} {form}" for form in formats]
    jobs += [f"check_corpus {corpus}", f"describe_corpus {corpus}", *extra, *PAGES]
    return sorted(jobs)


PHASES = [f"order_phase wealth {phase}" for phase in "ABC"]


def edit(checkout, file, old, new):
    path = checkout / file
    text = path.read_text()
    assert old in text, f"{file} has no {old!r}"
    path.write_text(text.replace(old, new, 1))


def change(checkout, path, value):
    study = copy.deepcopy(TALK)
    *parents, last = path.split(".")
    place = study
    for key in parents:
        place = place[key]
    place[last] = value
    write_study(checkout, study)


def test_a_built_checkout_plans_nothing(checkout):
    assert plan(checkout) == []


def test_a_count(checkout):
    change(checkout, "corpora.trading.parts.states.per_symbol", 31)
    assert plan(checkout) == followed("trading", ["states"])


def test_a_template_and_a_comment_in_it(checkout):
    path = checkout / "resources/templates/trades.yaml"
    path.write_text("# a comment\n" + path.read_text())
    assert plan(checkout) == []
    edit(checkout, "resources/templates/trades.yaml", "Step by step:", "One step after the other:")
    assert plan(checkout) == followed("trading", ["decisions"])


def test_the_words_of_states_reach_all_that_say_them(checkout):
    edit(checkout, "resources/templates/states.yaml", "oversold", "very oversold")
    parts = ["states", "decisions", "pairs"]
    assert plan(checkout) == followed("trading", parts, ("messages", "preferences"))


def test_a_formula_reaches_the_parts_that_ask_about_its_family(checkout):
    edit(
        checkout,
        "resources/formulas/alpha158.yaml",
        "expression: (close - open) / open",
        "expression: close / open - 1",
    )
    jobs = followed("trading", ["candles", "verifiable"], ("messages", "prompts"), ["survey_formulas"])
    assert plan(checkout) == jobs


def test_prose_of_another_family(checkout):
    edit(checkout, "resources/formulas/volatility.yaml", "title: ", "title: The ")
    assert plan(checkout) == followed("trading", ["volatilities"], extra=["survey_formulas"])


def test_a_kind_of_part(checkout):
    with (checkout / "scripts/corpus/kinds/preferences.py").open("a") as module:
        module.write("\nEDITED = True\n")
    assert plan(checkout) == followed("trading", ["pairs"], ("preferences",))


def test_phase_c_leaves_a_and_b_alone(checkout):
    change(checkout, "corpora.wealth.curriculum.phases.C.samples", 21)
    assert plan(checkout) == sorted(["order_phase wealth C", "describe_corpus wealth", *PAGES])


def test_phase_a_moves_the_phases_after_it(checkout):
    change(checkout, "corpora.wealth.curriculum.phases.A.samples", 21)
    assert plan(checkout) == sorted([*PHASES, "describe_corpus wealth", *PAGES])


def test_phrasings_of_a_domain_reach_its_part_and_the_benchmark(checkout):
    path = checkout / "resources/templates/domains/estate_planning.yaml"
    text = path.read_text()
    place = text.index("prompts:")
    dash = text.index("- ", place) + 2
    quote = text[dash] if text[dash] in "'\"" else ""
    path.write_text(text[: dash + len(quote)] + "Well: " + text[dash + len(quote) :])
    if not quote:  # a plain scalar must not get a colon
        path.write_text(text[:dash] + "Now " + text[dash:])
    assert plan(checkout) == followed("wealth", ["estates"], extra=["write_benchmark wealth", *PHASES])


def test_a_limit_of_the_checks_checks_again(checkout):
    study = copy.deepcopy(TALK)
    study["corpora"]["trading"]["checks"] = {"max_masked_auc": 0.6}
    write_study(checkout, study)
    assert plan(checkout) == sorted(["check_corpus trading", "describe_corpus trading", *PAGES])


def test_an_equal_outcome_stops_at_the_parts(checkout):
    """A deleted part is made again, and what depends on it finds it unchanged."""
    (checkout / "results/tiny/corpus/trading/parts/states.jsonl").unlink()
    done = snakemake(checkout)
    assert "write_part trading states" in jobs_run(done)
    assert plan(checkout) == []


def test_a_deleted_file_is_missed(checkout):
    for name in ("trading/preferences/test.jsonl", "wealth/phases/B.jsonl", "wealth/card.json", "formulas.json"):
        (checkout / "results/tiny/corpus" / name).unlink()
        assert plan(checkout), name
