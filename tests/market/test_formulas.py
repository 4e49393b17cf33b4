import importlib
import re
import subprocess
import sys

import pytest

from scripts.common.errors import StudyError
from scripts.market import formulas, notation

# what the catalogue has to hold: facts of the source system's history
COUNTS = {
    "alpha360": 360,
    "alpha191": 191,
    "alpha158": 158,
    "alpha101": 101,
    "statistical_arbitrage": 51,
    "certainty": 50,
    "barra_cne6": 46,
    "reinforcement_learning": 45,
    "deep_learning": 40,
    "volatility": 35,
    "microstructure": 50,
    "risk_management": 30,
    "cross_asset": 30,
    "execution": 25,
    "chinese_quant": 14,
}
REGULAR = {"alpha360": 360, "alpha158": 158, "alpha191": 191, "alpha101": 101}
CHINESE = ("alpha191", "barra_cne6", "chinese_quant")
HAN = re.compile(r"[\u4e00-\u9fff]")

ENTRY = """
- id: made.first_{n}
  name: First {n}
  latex: '\\frac{{\\sigma_t}}{{{n}}} + x^{{2}}'
  variables: {{x: "a number [1]"}}
  meaning: It says {n}.
  fails: Where {n} is wrong.
  difficulty: easy
  tags: [made]
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a family of its own catalogue: ``write(text of the entries, text of the head)``."""
    monkeypatch.setattr(formulas, "FOLDER", tmp_path)

    def write(entries, head="family: made\ntitle: Made\nsource: folklore\nvariables: {sigma_t: 'a spread [1]'}\n"):
        formulas.load.cache_clear(), formulas._read.cache_clear(), formulas.digest.cache_clear()
        (tmp_path / "made.yaml").write_text(f"{head}entries:{entries}", encoding="utf-8")
        return formulas

    yield write
    formulas.load.cache_clear(), formulas._read.cache_clear(), formulas.digest.cache_clear()


# --- the catalogue that there is


@pytest.mark.parametrize(("family", "least"), COUNTS.items())
def test_every_family_is_there_with_its_count(family, least):
    entries = formulas.load(family)
    assert len(entries) >= least
    if family in REGULAR:
        assert len(entries) == REGULAR[family]


def test_the_catalogue_has_1226_entries_or_more_and_no_id_twice():
    ids = [each.id for family in formulas.families() for each in formulas.load(family)]
    assert len(ids) == len(set(ids)) >= 1226


@pytest.mark.parametrize("family", formulas.families())
def test_every_formula_can_be_read_and_all_its_symbols_are_explained(family):
    unexplained = {}
    for each in formulas.load(family):
        if each.written:
            missing = notation.unexplained(each.written, each.variables)
            if missing:
                unexplained[each.id] = missing
        assert each.latex.count("{") == each.latex.count("}"), each.id
        assert each.variables, each.id
    assert not unexplained


@pytest.mark.parametrize("family", formulas.families())
def test_every_variable_has_its_unit(family):
    lacking = [
        f"{each.id}: {name}"
        for each in formulas.load(family)
        for name, text in each.variables.items()
        if "[" not in text
    ]
    assert not lacking


@pytest.mark.parametrize("family", formulas.families())
def test_every_expression_is_one_and_every_function_exists(family):
    from scripts.market import expressions

    for each in formulas.load(family):
        if each.expression:
            assert expressions.needs(each.tree), f"{each.id} reads nothing of a bar"
            assert expressions.parse(expressions.to_text(each.tree)) == each.tree, each.id
            assert expressions.needs(each.tree) - {"self"} <= set(formulas.BARS) | {
                name for name in each.variables if name.startswith("adv")
            }, each.id
        if each.function:
            module, name = each.function.rsplit(".", 1)
            assert callable(getattr(importlib.import_module(module), name)), each.id


@pytest.mark.parametrize("family", formulas.families())
def test_sources_are_papers_with_a_year_or_folklore(family):
    for each in formulas.load(family):
        assert each.source == "folklore" or re.search(r"\b(1[6-9]|20)\d\d\b", each.source), f"{each.id}: {each.source}"


@pytest.mark.parametrize("family", CHINESE)
def test_chinese_families_are_quoted_in_both_languages(family):
    for each in formulas.load(family):
        assert HAN.search(each.title_zh) and HAN.search(each.source_zh), each.id
        assert not HAN.search(each.source), each.id


def test_meanings_are_not_copies_of_each_other():
    for family in formulas.families():
        texts = [each.meaning for each in formulas.load(family)]
        assert len(set(texts)) > 0.9 * len(texts), family


def test_planning_reads_definitions_without_heavy_imports_and_without_parsing():
    program = (
        "import sys; from scripts.market import formulas; "
        "print([len(formulas.definition(each)) for each in formulas.families()]); "
        "heavy = {'pandas', 'scipy', 'pyarrow', 'scripts.market.expressions'}; assert not heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=".")


# --- reading


def test_loops_are_expanded_in_all_texts_and_latex_keeps_its_braces(write):
    first, second = write(ENTRY.format(n="{n}") + "  for: {n: [5, 10]}\n").load("made")
    assert (first.id, second.id) == ("made.first_5", "made.first_10")
    assert (first.name, first.meaning, first.fails) == ("First 5", "It says 5.", "Where 5 is wrong.")
    assert first.latex == r"\frac{\sigma_t}{5} + x^{2}"
    assert second.latex == r"\frac{\sigma_t}{10} + x^{2}"


def test_a_loop_may_be_a_range_and_several_make_all_combinations(write):
    entry = ENTRY.format(n="{n}_{m}") + "  for: {n: 3..1, m: [7, 8]}\n"
    names = [each.name for each in write(entry).load("made")]
    assert names == ["First 3_7", "First 3_8", "First 2_7", "First 2_8", "First 1_7", "First 1_8"]


def test_variables_are_those_of_the_glossary_that_the_formula_has_and_its_own(write):
    head = "family: made\ntitle: Made\nsource: folklore\nvariables: {sigma_t: 'a spread [1]', rho: 'not in it [1]'}\n"
    (entry,) = write(ENTRY.format(n=1), head).load("made")
    assert entry.variables == {"sigma_t": "a spread [1]", "x": "a number [1]"}
    assert (entry.source, entry.title, entry.tags) == ("folklore", "Made", ("made",))


def test_an_expression_is_rendered_and_its_variables_are_explained(write):
    from scripts.market import expressions

    text = "mean(close, 5) / adv20 + vwap"
    entry = ENTRY.format(n=1).replace("  latex: '\\frac{\\sigma_t}{1} + x^{2}'\n", f"  expression: '{text}'\n")
    (entry,) = write(entry.replace('  variables: {x: "a number [1]"}\n', "")).load("made")
    assert entry.tree == expressions.parse(text)
    assert entry.latex == expressions.to_latex(entry.tree)
    assert list(entry.variables) == ["close", "vwap", "adv20"]
    assert entry.variables["adv20"] == "mean volume of the last 20 bars, the bar included [units of the base asset]"
    assert formulas.definition("made") == {"First 1": text}


def test_a_digest_is_of_the_content(write):
    text = ENTRY.format(n=1)
    digest = write(text).digest("made")
    assert write("  # a comment\n" + text).digest("made") == digest
    assert write(text.replace("It says", "It tells")).digest("made") != digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("difficulty: easy", "difficulty: simple", "made.first_1: its difficulty must be one of easy, medium"),
        ("id: made.first_1", "id: first_1", "first_1: its id must be 'made.'"),
        ("id: made.first_1", "id: made.First", "made.First: its id must be"),
        ("fails: Where 1 is wrong.", "", "made.first_1: lacks fails"),
        ("meaning: It says 1.", "meaning: ' '", "its meaning is no text, or empty"),
        ("meaning: It says 1.", "meaning: 5", "its meaning is no text"),
        ("meaning:", "meening:", "unknown keys meening"),
        ("tags: [made]", "tags: []", "needs tags"),
        ('{x: "a number [1]"}', "{no: a number}", "quote keys"),
        ("  latex: '\\frac{\\sigma_t}{1} + x^{2}'\n", "", "needs a latex or an expression"),
        ("- id: made.first_1", "- [1, 2]\n- id: made.first_1", "entry 1: is no mapping"),
        ("tags: [made]", "tags: [made]\n  for: {n: 5}", "a loop of `for` needs a list"),
        ("tags: [made]", "tags: [made]\n  for: {n: [5, 6]}", "made.first_1: the id stands there more than once"),
        ("meaning: It says 1.", "meaning: 'It", "is no valid YAML"),
    ],
)
def test_mistakes_are_named_with_file_and_entry(write, old, new, message):
    text = ENTRY.format(n=1)
    assert old in text
    with pytest.raises(StudyError, match=r"resources/formulas/made\.yaml") as error:
        write(text.replace(old, new)).load("made")
    assert message in str(error.value)


def test_a_family_that_is_not_there_is_named_with_those_that_are(write):
    with pytest.raises(StudyError, match="no family of formulas 'mad'; there are: made"):
        write(ENTRY.format(n=1)).load("mad")


# --- notation


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\sigma_t^2 = \omega + \alpha \epsilon_{t-1}^2", ["sigma_t", "omega", "alpha", "epsilon_t-1"]),
        (r"\mathrm{VaR}_\alpha = \mu + \sigma z_{1-\alpha}", ["mu", "sigma", "z_1-alpha"]),
        (r"\frac{1}{n} \sum_{i=1}^{N} \hat{\beta}_i e^{-\kappa T}", ["n", "N", "beta_i", "kappa", "T"]),
        (r"\mathbb{E}[X] + E\left[Y\right] + w^T \Sigma w", ["X", "Y", "w", "Sigma"]),
        (r"\frac{1}{\sqrt{2\pi}} \int f \, dW", ["f", "dW"]),
        (r"\pi_\theta(a \mid s) \text{ if } \partial q / \partial x", ["pi_theta", "a", "q", "x"]),
        (r"ATR_{14} \varepsilon", ["ATR_14", "epsilon"]),
    ],
)
def test_symbols_of_a_formula(latex, expected):
    assert notation.unexplained(latex, {}) == expected
    assert notation.unexplained(latex, dict.fromkeys(expected)) == []


def test_keys_explain_their_symbol_with_whatever_subscript():
    latex = r"\hat\sigma_{t-1} + r_{i,t} - xy"
    assert notation.unexplained(latex, {"sigma_t": "", "r_i": "", "x, y": ""}) == []
    assert notation.unexplained(latex, {r"\hat{\sigma}": "", "r": "", "xy": ""}) == []
    assert notation.unexplained(latex, {"s": "", "r": "", "x": ""}) == ["sigma_t-1", "xy"]


def test_of_two_keys_with_one_letter_the_one_with_the_subscript_is_taken():
    glossary = {"r_t": "return", "r_f": "riskless rate", "sigma": "spread"}
    assert list(notation.explaining("r_t - r_f", glossary)) == ["r_t", "r_f"]
    assert list(notation.explaining("r_t", glossary)) == ["r_t"]
    assert list(notation.explaining("r_{t-1}", glossary)) == ["r_t", "r_f"]
