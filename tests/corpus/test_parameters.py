"""Figures of law: each has a year and a source, is used, and gives the amounts that the agencies publish."""

import random
import re
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from scripts.common.errors import StudyError
from scripts.corpus import domains, parameters
from scripts.corpus.topics import gifts, income_tax, payroll_taxes, withdrawals

CODE = Path(parameters.__file__).parent
FILES = sorted(each.stem for each in parameters.FOLDER.glob("*.yaml"))
FIGURES = [(file, name) for file in FILES for name in parameters.load(file)["figures"]]
QUESTIONS = [(name, each) for name in domains.available() for each in domains.load(name).QUESTIONS]
STATUSES = ("single", "joint", "head")

# Tax Tables of the instructions for Form 1040: {lower end of a step of 50 USD: tax single, joint, head of household}.
# The step of 25,300 is the instructions' own example.
TAX_TABLE = {
    2023: {
        11_950: (1_217, 1_198, 1_198),
        15_700: (1_667, 1_573, 1_573),
        25_300: (2_819, 2_599, 2_725),
        57_000: (7_853, 6_403, 6_529),
        60_000: (8_513, 6_763, 6_907),
        95_000: (16_213, 11_521, 14_607),
        99_950: (17_394, 12_610, 15_788),
    },
    2025: {
        11_900: (1_193, 1_193, 1_193),
        25_300: (2_801, 2_562, 2_699),
        48_450: (5_579, 5_340, 5_477),
        64_850: (9_187, 7_308, 7_448),
        90_000: (14_720, 10_326, 12_981),
        96_950: (16_249, 11_163, 14_510),
        99_950: (16_909, 11_823, 15_170),
    },
}
# Tax Computation Worksheet of 2025, for 100,000 USD and more: (up to, rate, amount to subtract)
WORKSHEET = {
    "single": (
        (103_350, 22, 5_086),
        (197_300, 24, 7_153),
        (250_525, 32, 22_937),
        (626_350, 35, 30_452.75),
        (2_000_000, 37, 42_979.75),
    ),
    "joint": (
        (206_700, 22, 10_172),
        (394_600, 24, 14_306),
        (501_050, 32, 45_874),
        (751_600, 35, 60_905.50),
        (2_000_000, 37, 75_937.50),
    ),
    "head": (
        (103_350, 22, 6_825),
        (197_300, 24, 8_892),
        (250_500, 32, 24_676),
        (626_350, 35, 32_191),
        (2_000_000, 37, 44_718),
    ),
}


@pytest.mark.parametrize(("file", "name"), FIGURES, ids=[f"{file}.{name}" for file, name in FIGURES])
def test_a_figure_has_unit_source_and_year(file, name):
    content = parameters.load(file)
    figure = content["figures"][name]
    years = set(content.get("years", ())) | {content.get("year")} - {None}
    value, source = figure["value"], figure["source"]
    by_year = {key for key in value if key in range(2000, 2100)} if isinstance(value, dict) else set()
    # a table of births has years as keys too, but those are not the file's
    assert years or by_year == {2023, 2024, 2025}
    if isinstance(source, dict):
        assert set(source) == set(value)
    for text in source.values() if isinstance(source, dict) else [source]:
        assert re.search(r"\d", text) and re.search(r"[A-Z]", text)
    assert figure["unit"]
    assert set(figure) == {"value", "unit", "source"}


def test_every_figure_is_read():
    code = "".join(each.read_text(encoding="utf-8") for each in CODE.rglob("*.py"))
    assert {name for _, name in FIGURES if f'"{name}"' not in code} == set()


def test_distributions_are_asked_for_from_the_age_that_requires_them():
    figures = parameters.load("retirement_limits")["figures"]
    for name in ("required_distribution", "two_distributions"):
        question = next(each for each in withdrawals.QUESTIONS if each.name == name)
        ages = {question.draw(random.Random(seed))["age"] for seed in range(2_000)}
        assert min(ages) == min(figures["uniform_lifetime"]["value"]) == figures["distribution_age"]["value"]


@pytest.mark.parametrize(("domain", "question"), QUESTIONS, ids=[f"{name}.{each.name}" for name, each in QUESTIONS])
def test_a_question_names_the_files_that_it_reads(domain, question, monkeypatch):
    """What it does not name would not rerun the parts that ask it when a figure changes."""
    read, load = set(), parameters.load
    monkeypatch.setattr(parameters, "load", lambda name: read.add(name) or load(name))
    for seed in range(30):
        inputs = question.draw(random.Random(seed))
        question.solve(inputs)
        question.show(inputs)
    assert read == set(question.parameters)


@pytest.mark.parametrize(
    ("year", "floor", "printed"), [(year, *row) for year, rows in TAX_TABLE.items() for row in rows.items()]
)
def test_schedules_give_the_printed_tax_tables(year, floor, printed):
    """The tables have the tax of the middle of a step, rounded to dollars, halves up."""
    taxes = [Decimal(f"{income_tax.tax_of(year, status, floor + 25):.4f}") for status in STATUSES]
    assert tuple(each.quantize(Decimal(1), ROUND_HALF_UP) for each in taxes) == printed


@pytest.mark.parametrize("status", STATUSES)
def test_schedules_give_the_printed_worksheet_of_large_incomes(status):
    low = 100_000
    for high, rate, subtracted in WORKSHEET[status]:
        for income in (low, (low + high) / 2, high):
            expected = pytest.approx(income * rate / 100 - subtracted, abs=0.005)
            assert income_tax.tax_of(2025, status, income) == expected, (income, rate)
        low = high


@pytest.mark.parametrize(("year", "most"), [(2023, 9_932.40), (2024, 10_453.20), (2025, 10_918.20)])
def test_the_wage_base_gives_the_published_maximum_of_social_security_tax(year, most):
    question = next(each for each in payroll_taxes.QUESTIONS if each.name == "payroll_tax")
    base = income_tax.figure("wage_base", year)
    assert question.solve({"year": year, "wages": base}).value == pytest.approx(most + 0.0145 * base, abs=0.005)
    beyond = question.solve({"year": year, "wages": base + 10_000}).value
    assert beyond == pytest.approx(most + 0.0145 * (base + 10_000), abs=0.005)


@pytest.mark.parametrize(("year", "credit"), [(2023, 5_113_800), (2024, 5_389_800), (2025, 5_541_800)])
def test_the_exclusion_gives_the_published_credit(year, credit):
    """Applicable credit amounts of the instructions for Form 709."""
    assert gifts.tentative(gifts.law("basic_exclusion", year)) == credit
    assert gifts.law("gst_exemption", year) == gifts.law("basic_exclusion", year)


@pytest.mark.parametrize(
    ("birth", "age", "share"),
    [
        # births from 1960 on, as the Social Security Administration prints them
        *((1960, 62 + place, share) for place, share in enumerate((70, 75, 80, "260/3", "280/3", 100, 108, 116, 124))),
        (1955, 62, Fraction(100) - Fraction("155/6")),  # reduced by 25.83 %
        (1957, 62, "145/2"),  # reduced by 27.50 %
        (1959, 62, Fraction(100) - Fraction("175/6")),  # reduced by 29.17 %
        (1957, 70, 128),
    ],
)
def test_shares_of_the_primary_insurance_amount_are_the_published_ones(birth, age, share):
    assert withdrawals.claimed_share(birth, 12 * age)[0] == Fraction(share)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(StudyError, match=r"no figures 'lunar_tax': resources/parameters/lunar_tax.yaml is missing"):
        parameters.load("lunar_tax")


def test_a_digest_is_of_the_content(tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "FOLDER", tmp_path)
    texts = {"digest_a": "{x: {y: 1}}", "digest_b": "# why\nx:\n  y: 1\n", "digest_c": "x: {y: 2}"}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    first, same, other = map(parameters.digest, texts)
    assert first == same != other
