import copy
import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.errors import StudyError
from scripts.market import formulas
from scripts.market.expressions import ExpressionError, lookback, needs, parse, to_latex, to_text
from scripts.market.expressions.dialects import DIALECTS
from scripts.market.expressions.operators import OPERATORS
from scripts.market.expressions.syntax import CONDITION, GROUP, NUMBER, VARIABLES, apply, number, variable

FILES = {
    "alpha158": ("alpha158_qlib_mit.csv", "qlib"),
    "alpha360": ("alpha360_qlib_mit.csv", "qlib"),
    "alpha101": ("alpha101_pyalphalib_bsd2.csv", "alpha101"),
    "alpha191": ("alpha191_pyalphalib_bsd2.csv", "alpha191"),
}


# --- reading


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("open + high * low", "open + (high * low)"),
        ("open - high - low", "(open - high) - low"),
        ("open / high / low", "(open / high) / low"),
        ("open / high * low", "(open / high) * low"),
        ("open ^ high ^ low", "open ^ (high ^ low)"),
        ("-open ^ 2", "-(open ^ 2)"),
        ("open ^ -2", "open ^ (-2)"),
        ("2 * -open", "2 * (-open)"),
        ("-open * high", "(-open) * high"),
        ("+open - -high", "open - (-high)"),
        ("open + 1 < high * 2 ? low : close", "((open + 1) < (high * 2)) ? low : close"),
        ("open < 1 || high < 2 && low < 3", "(open < 1) || ((high < 2) && (low < 3))"),
        ("!(open < 1) && high < 2", "(!(open < 1)) && (high < 2)"),
        ("open < 1 ? 2 : high < 3 ? 4 : 5", "(open < 1) ? 2 : ((high < 3) ? 4 : 5)"),
        ("open < 1 ? high < 2 ? 3 : 4 : 5", "(open < 1) ? ((high < 2) ? 3 : 4) : 5"),
        ("mean(close,5)", "mean( close , 5 )"),
        ("mean(close, 5.93)", "mean(close, 5)"),
        ("delay(close, 1.06157)", "delay(close, 1)"),
        ("mean(close, 2 * 3 - 1)", "mean(close, 5)"),
        ("scale(close)", "scale(close, 1)"),
        (".5 * close + 5. * 1e-3", "0.5 * close + 0.005"),
    ],
)
def test_what_binds_how(text, meant):
    assert parse(text) is parse(meant)


def test_different_trees_are_different():
    assert parse("open - (high - low)") is not parse("open - high - low")
    assert parse("open + high") is not parse("high + open")
    assert parse("mean(close, 5)") is not parse("mean(close, 6)")


def test_equal_parts_are_one_object_wherever_they_are_read():
    whole = parse("rank(delta(close, 3)) * rank(delta(close, 3))")
    assert whole.arguments[0] is whole.arguments[1] is parse("rank( DELTA(Close,3) )", "alpha101")
    assert copy.deepcopy(whole) is whole


def test_nodes_do_not_change():
    with pytest.raises(AttributeError):
        parse("close").value = "open"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1 - 0.25", "0.75"),
        ("-1 * 1", "-1"),
        ("2 ^ -1 + abs(-3) * max(1, 2)", "6.5"),
        ("sqrt(16) - log(exp(1)) + sign(-2)", "2"),
        ("signed_power(-3, 2) + min(4, 5)", "-5"),
        ("(1 / 20) * close", "0.05 * close"),
        ("close * (2 * 3) * 4", "close * 6 * 4"),
    ],
)
def test_constants_are_worked_out(text, canonical):
    assert to_text(parse(text)) == canonical


# --- mistakes


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("mean(clsoe, 5)", 5, "there is no variable 'clsoe', did you mean 'close'?"),
        ("maen(close, 5)", 0, "there is no operator 'maen', did you mean 'mean'?"),
        ("mean(close, volume)", 12, "mean needs a window (a number of bars written out) here"),
        ("mean(close, close > open)", 18, "mean needs a window (a number of bars written out) here, not a condition"),
        ("mean(close, 0)", 12, "mean needs at least 1 bar, not 0"),
        ("stddev(close, 1)", 14, "stddev needs at least 2 bars, not 1"),
        ("correlation(close, open, 1.9)", 25, "correlation needs at least 2 bars, not 1.9"),
        ("delay(close, -1)", 13, "delay over -1 bars would look into the future"),
        ("delta(close, 1 - 3)", 15, "would look into the future"),
        ("(close > open) * 2", 0, "* needs a number here, not a condition: write (condition ? 1 : 0)"),
        ("mean(close > open, 5)", 11, "mean needs a number here, not a condition: write (condition ? 1 : 0)"),
        ("close ? 1 : 2", 0, "? : needs a condition here, not a number: compare it with something"),
        ("close && open > 1", 0, "&& needs a condition here"),
        ("close < open < high", 6, "< needs a number here, not a condition"),
        ("!close", 1, "! needs a condition here"),
        ("indneutralize(close, volume)", 21, "needs a group (sector, industry or subindustry) here"),
        ("close + sector", 8, "+ needs a number here, not a group"),
        ("sector", 0, "a group alone is no formula"),
        ("mean(close)", 0, "mean takes (x, n), not 1 argument"),
        ("close + mean(close, 5, 6)", 8, "mean takes (x, n), not 3 arguments"),
        ("regresi(close, 5)", 0, "regresi takes (y, x1, n) with up to three x, not 2 arguments"),
        ("regresi(close, open, high, 3)", 0, "2 regressors need a window of 4 bars or more"),
        ("sma(close, 5, 6)", 0, "the weight must be above 0 and at most n, 6 is not (n = 5)"),
        ("quantile(close, 5, 1.2)", 19, "quantile needs a share from 0 to 1 written out here, not 1.2"),
        ("scale(close, volume)", 13, "scale needs a number written out here"),
        ("close open", 6, "an operator or the end should be here, not 'open'"),
        ("close +", 7, "a number, a variable or an operator is missing, here is the end"),
        ("close + * 2", 8, "is missing, here is '*'"),
        ("mean(close, 5", 13, "')' is missing for the '(' of mean, here is the end"),
        ("(close + 1", 10, "')' is missing for the '(' at character 1"),
        ("close > 1 ? 2", 13, "':' is missing of ? :"),
        ("close = 2", 6, "'=' is no sign of the language: equality is written =="),
        ("close & 2", 6, "and is written &&"),
        ("close + mean", 8, "'mean' is an operator and needs its arguments in brackets"),
        ("close(5)", 0, "there is no operator 'close': a variable takes no brackets"),
        ("1 / 0", 2, "/ of these numbers has no value"),
        ("close + log(-1)", 8, "log of these numbers has no value"),
        ("close * (-2) ^ 0.5", 13, "^ of these numbers has no value"),
        ("10 ^ 400", 3, "^ of these numbers has no value"),
        ("close * 1e999", 8, "1e999 is too large for a number"),
        ("mean(close, 1e300)", 12, "mean over more than 1,000,000 bars"),
        ("rank(5)", 0, "rank is given numbers alone, it would be the same on every bar"),
        ("1 < 2", 2, "< is given numbers alone"),
        ("$close", 0, "there is no variable '$close', did you mean 'close'?"),
        ("Mean(close, 5)", 0, "there is no operator 'Mean', did you mean 'mean'?"),
        ("adv0", 0, "there is no variable 'adv0'"),
        ("5x", 1, "an operator or the end should be here, not 'x'"),
        ("", 0, "is missing, here is the end"),
    ],
)
def test_mistakes_are_named_and_pointed_at(text, position, problem):
    with pytest.raises(ExpressionError) as error:
        parse(text)
    message, line, caret = str(error.value).split("\n")
    assert problem in message
    assert f"(at character {position + 1})" in message
    assert error.value.position == position
    assert line[2:] == text
    assert caret == " " * (position + 2) + "^"


PIECES = [
    "close",
    "sector",
    "mean",
    "rank",
    "(",
    ")",
    ",",
    "?",
    ":",
    "<",
    "&&",
    "!",
    "-",
    "^",
    "1e9",
    ".5",
    " ",
    "$",
    "é",
    "0",
]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.sampled_from(sorted(DIALECTS)))
def test_any_text_is_an_expression_or_an_expression_error(text, dialect):
    try:
        node = parse(text, dialect)
    except ExpressionError as error:
        assert 0 <= error.position <= len(text)
    else:
        assert parse(to_text(node)) is node


def test_a_long_text_is_shown_around_the_mistake():
    text = " + ".join(["close"] * 100) + " + clsoe + " + " + ".join(["close"] * 100)
    with pytest.raises(ExpressionError) as error:
        parse(text)
    _, line, caret = str(error.value).split("\n")
    assert len(line) < 140
    assert line[caret.index("^") :].startswith("clsoe")


def test_what_is_no_text_and_what_is_nested_too_deeply_are_errors_too():
    with pytest.raises(ExpressionError, match="an expression is a text, not float"):
        parse(1.5)
    with pytest.raises(ExpressionError, match="nested too deeply"):
        parse("(" * 5000 + "close" + ")" * 5000)


def test_an_unknown_dialect_is_named():
    with pytest.raises(StudyError, match="no dialect 'wq'.*canonical, qlib, alpha101, alpha191"):
        parse("close", "wq")


# --- dialects


@pytest.mark.parametrize(
    ("dialect", "text", "canonical"),
    [
        ("qlib", "Ref($close, 5)/$close", "delay(close, 5) / close"),
        ("qlib", "Std($close, 5)", "stddev(close, 5)"),
        ("qlib", "Max($high, 5) - Greater($open, $close)", "ts_max(high, 5) - max(open, close)"),
        ("qlib", "Min($low, 5) - Less($open, $close)", "ts_min(low, 5) - min(open, close)"),
        ("qlib", "IdxMax($high, 5) + IdxMin($low, 5)", "ts_argmax(high, 5) + ts_argmin(low, 5)"),
        ("qlib", "Rank($close, 5)", "ts_rank(close, 5)"),
        ("qlib", "Quantile($close, 5, 0.8)", "quantile(close, 5, 0.8)"),
        ("qlib", "Corr($close, Log($volume+1), 5)", "correlation(close, log(volume + 1), 5)"),
        ("qlib", "Mean($close>Ref($close, 1), 5)", "mean(close > delay(close, 1) ? 1 : 0, 5)"),
        ("qlib", "If(And(Gt($close, 1), Not($open > 2)), Power($low, 2), 0)", "close > 1 && !(open > 2) ? low^2 : 0"),
        (
            "qlib",
            "Slope($close, 5) + Rsquare($close, 5) + Resi($close, 5)",
            "slope(close, 5) + rsquare(close, 5) + resi(close, 5)",
        ),
        ("alpha101", "Ts_Rank(CLOSE, 5.9)", "ts_rank(close, 5)"),
        ("alpha101", "SignedPower(returns, 2.)", "signed_power(returns, 2)"),
        ("alpha101", "IndNeutralize(vwap, IndClass.sector)", "indneutralize(vwap, sector)"),
        ("alpha101", "indneutralize(adv81, IndClass.subindustry)", "indneutralize(adv81, subindustry)"),
        ("alpha101", "min(product(rank(close), 1), 5)", "ts_min(product(rank(close), 1), 5)"),
        ("alpha101", "max(rank(open), rank(low))", "max(rank(open), rank(low))"),
        ("alpha101", "max(close, 1)", "max(close, 1)"),
        ("alpha101", "(rank(open) < rank(low)) * -1", "(rank(open) < rank(low) ? 1 : 0) * -1"),
        ("alpha101", "rank(open) < rank(low)", "rank(open) < rank(low)"),
        (
            "alpha191",
            "MAX(VWAP, 15) - MAX(CLOSE-DELAY(CLOSE,1),0)",
            "ts_max(vwap, 15) - max(close - delay(close, 1), 0)",
        ),
        ("alpha191", "MIN(HIGH, 2) + MIN(LOW, DELAY(CLOSE, 1))", "ts_min(high, 2) + min(low, delay(close, 1))"),
        ("alpha191", "MAX(0, HIGH-OPEN)", "max(0, high - open)"),
        ("alpha191", "DELAY(CLOSE)", "delay(close, 1)"),
        ("alpha191", "SMA(CLOSE, 60) + SMA(CLOSE, 13, 2)", "sma(close, 60, 2) + sma(close, 13, 2)"),
        ("alpha191", "MA(CLOSE, 3) + MEAN(CLOSE, 3)", "mean(close, 3) + mean(close, 3)"),
        ("alpha191", "REGBETA(MEAN(CLOSE,6),SEQUENCE,6)", "slope(mean(close, 6), 6)"),
        ("alpha191", "REGBETA(CLOSE, OPEN, 6)", "regbeta(close, open, 6)"),
        (
            "alpha191",
            "REGBETA(FILTER(RET, OPEN<CLOSE), FILTER(MKT, OPEN<CLOSE), 252)",
            "regbeta(returns, mkt, 252, open < close)",
        ),
        ("alpha191", "REGRESI(RET, MKT, SMB, HML, 60)", "regresi(returns, mkt, smb, hml, 60)"),
        ("alpha191", "BANCHMARKINDEXCLOSE / BANCHMARKINDEXOPEN", "benchmark_close / benchmark_open"),
        ("alpha191", "SUM(DTM, 20)", "sum(open <= delay(open, 1) ? 0 : max(high - open, open - delay(open, 1)), 20)"),
        ("alpha191", "SUM(DBM, 20)", "sum(open >= delay(open, 1) ? 0 : max(open - low, open - delay(open, 1)), 20)"),
        (
            "alpha191",
            "(HD > LD) ? HD : TR",
            "high - delay(high, 1) > delay(low, 1) - low ? high - delay(high, 1) : "
            "max(max(high - low, abs(high - delay(close, 1))), abs(low - delay(close, 1)))",
        ),
        ("alpha191", "CLOSE>OPEN?RET*SELF:SELF", "product(close > open ? returns : 1, 20)"),
        ("alpha191", "RET * (SELF * 2)", "product(2 * returns, 20)"),
        ("alpha191", "COUNT(CLOSE>OPEN && RET>0,12)", "count(close > open && returns > 0, 12)"),
        ("alpha191", "SUMIF(AMOUNT,20,CLOSE<OPEN)", "sumif(amount, 20, close < open)"),
        ("alpha191", "-20* ( 20-1 ) ^1.5*CLOSE", f"{-20 * 19**1.5!r} * close"),
    ],
)
def test_dialects_are_translated(dialect, text, canonical):
    node = parse(text, dialect)
    assert to_text(node) == canonical
    assert parse(canonical) is node


@pytest.mark.parametrize(
    ("dialect", "text", "problem"),
    [
        ("qlib", "close", "there is no variable 'close', did you mean '$close'?"),
        ("qlib", "Mean($close, 0)", "windows below 1"),
        ("qlib", "Ref($close, -1)", "windows below 1"),
        ("qlib", "mean($close, 5)", "no operator 'mean', did you mean 'Mean'?"),
        ("alpha101", "correl(close, open, 5)", "no operator 'correl', did you mean 'correlation'?"),
        ("alpha101", "IndNeutralize(close, IndClass.sectr)", "did you mean 'indclass.sector'?"),
        ("alpha191", "SEQUENCE + 1", "+ needs a number here, not a sequence"),
        ("alpha191", "CLOSE + SELF", "SELF may only stand where the formula is a multiple of it"),
        ("alpha191", "CLOSE > SELF ? SELF : SELF", "SELF may only stand"),
        ("alpha191", "DELAY()", "DELAY takes"),
    ],
)
def test_what_dialects_do_not_know_is_an_error(dialect, text, problem):
    with pytest.raises(ExpressionError) as error:
        parse(text, dialect)
    assert problem in str(error.value)


@pytest.mark.parametrize("family", FILES)
def test_formulas_as_published_are_those_of_the_catalogue(family):
    folder = os.environ.get("QUANTMAKE_REAL_DATA")
    if not folder:
        pytest.skip("QUANTMAKE_REAL_DATA, the folder with the published formulas, is not set")
    file, dialect = FILES[family]
    with open(Path(folder) / "formulas" / file, newline="", encoding="utf-8") as rows:
        published = [parse(row["formula"], dialect) for row in csv.DictReader(rows)]
    assert [each.tree for each in formulas.load(family)] == published


# --- writing


@pytest.mark.parametrize("family", FILES)
def test_every_formula_of_the_catalogue_reads_back_as_it_is_written(family):
    for each in formulas.load(family):
        assert parse(to_text(each.tree)) is each.tree, each.id


@pytest.mark.parametrize(
    "text",
    [
        "open - (high - low)",
        "(open + high) * low / (close * 2)",
        "(-2)^open",
        "-(2 * open)",
        "open^(high^low)",
        "(open^high)^low",
        "(open < 1 ? 2 : 3) + 1",
        "(open < 1 ? 2 : 3) < 4 ? 5 : 6",
        "!(open < 1 && (high < 2 || low < 3))",
        "scale(close, 2)",
        "regbeta(close, open, 60, high > low)",
        "1e-12 + 123456789.125 * open",
    ],
)
def test_brackets_are_written_where_they_are_needed(text):
    assert parse(to_text(parse(text))) is parse(text)


def test_the_canonical_spelling_has_no_brackets_to_spare():
    assert to_text(parse("((open) - ((high)*(low))) / ((2))")) == "(open - high * low) / 2"
    assert to_text(parse("scale((close), 1.0)")) == "scale(close)"


NUMBERS = st.one_of(
    st.integers(-1000, 1000).map(float),
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.sampled_from([1e-12, 1e300, 0.1, 5e-324, 123456789012345680.0]),
).map(number)
SERIES = st.sampled_from(sorted(name for name, kind in VARIABLES.items() if kind == NUMBER) + ["adv20"]).map(variable)
GROUPS = st.sampled_from(sorted(name for name, kind in VARIABLES.items() if kind == GROUP)).map(variable)
GIVING = {kind: sorted(name for name, each in OPERATORS.items() if each.gives == kind) for kind in (NUMBER, CONDITION)}


@st.composite
def trees(draw, kind=NUMBER, depth=3):
    """Trees of all operators; the first argument is never a number, so that none is worked out while reading."""
    if kind == NUMBER and (depth <= 0 or draw(st.integers(0, 4)) == 0):
        return draw(SERIES)
    name = draw(st.sampled_from(GIVING[kind] if depth > 0 else ["<", ">", "==", "!="]))
    operator = OPERATORS[name]
    arguments = []
    for place, each in enumerate(draw(st.sampled_from(operator.takes))):
        deeper = st.one_of(trees(NUMBER, depth - 1), NUMBERS) if place else trees(NUMBER, depth - 1)
        kinds = {
            "x": deeper,
            "c": trees(CONDITION, depth - 1),
            "g": GROUPS,
            "n": st.integers(6, 300).map(number),
            "d": st.integers(0, 300).map(number),
            "m": st.integers(1, 6).map(number),
            "a": NUMBERS,
            "q": st.floats(0, 1).map(number),
        }
        arguments.append(draw(kinds[each]))
    return apply(name, *arguments, type=operator.gives)


@settings(deadline=None, max_examples=200)
@given(st.one_of(trees(), trees(CONDITION)))
def test_any_tree_reads_back_as_it_is_written(tree):
    assert parse(to_text(tree)) is tree
    latex = to_latex(tree)
    assert latex.count("{") == latex.count("}") and latex.count(r"\left") == latex.count(r"\right")
    assert lookback(tree) >= 0 and needs(tree) <= set(VARIABLES)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("(close - open) / open", r"\frac{\mathrm{close} - \mathrm{open}}{\mathrm{open}}"),
        ("delay(close, 5) / close", r"\frac{\mathrm{close}_{t-5}}{\mathrm{close}}"),
        ("-1 * rank(close + 1)", r"-1 \cdot \operatorname{rank}\left(\mathrm{close} + 1\right)"),
        ("ts_max(high, 20)", r"\operatorname{ts\_max}_{20}\left(\mathrm{high}\right)"),
        ("quantile(close, 5, 0.8)", r"\operatorname{quantile}_{5, 0.8}\left(\mathrm{close}\right)"),
        ("(open + 1)^2", r"\left(\mathrm{open} + 1\right)^{2}"),
        ("(open / close)^2", r"\left(\frac{\mathrm{open}}{\mathrm{close}}\right)^{2}"),
        ("abs(close) + 1e-12", r"\left|\mathrm{close}\right| + 10^{-12}"),
        ("2.5e-7 * close", r"2.5 \cdot 10^{-7} \cdot \mathrm{close}"),
        ("close > open ? 1 : 0", r"\mathbb{1}\left[\mathrm{close} > \mathrm{open}\right]"),
        (
            "close <= open && low != 1 ? high : 0",
            r"\begin{cases} \mathrm{high} & \text{if } \mathrm{close} \le \mathrm{open} \wedge \mathrm{low} \ne 1 \\ "
            r"0 & \text{otherwise} \end{cases}",
        ),
        ("adv20 + benchmark_close", r"\mathrm{adv20} + \mathrm{benchmark\_close}"),
        ("sqrt(log(max(open, close)))", r"\sqrt{\log\left(\max\left(\mathrm{open}, \mathrm{close}\right)\right)}"),
    ],
)
def test_latex(text, latex):
    assert to_latex(parse(text)) == latex


# --- what can be said without computing


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("close", 0),
        ("delay(close, 5)", 5),
        ("delta(close, 0) + 1", 0),
        ("mean(close, 5)", 4),
        ("returns", 1),
        ("adv20", 19),
        ("rank(mean(delay(returns, 3), 5))", 8),
        ("delay(close, 5) + mean(open, 30)", 29),
        ("correlation(delay(close, 5), adv20, 230)", 248),
        ("regbeta(close, open, 60, delay(close, 7) > open)", 66),
        ("regresi(returns, mkt, smb, hml, 60)", 60),
        # 0.95^539 is the first power below 1e-12: 539 rows, the row itself among them
        ("sma(close, 20, 1)", 538),
        ("sma(close, 2, 1)", 39),
        ("sma(close, 5, 5)", 0),
        ("sumif(close, 20, open > delay(open, 1))", 20),
    ],
)
def test_lookback(text, rows):
    assert lookback(parse(text)) == rows


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("rank(vwap) * 2", {"vwap"}),
        ("returns + adv20", {"close", "volume"}),
        ("indneutralize(close, subindustry)", {"close", "subindustry"}),
        ("benchmark_close > benchmark_open ? mkt : cap", {"benchmark_close", "benchmark_open", "mkt", "cap"}),
        ("2", set()),
    ],
)
def test_needs(text, variables):
    assert needs(parse(text)) == variables


def test_the_page_on_the_language_has_every_operator_and_variable():
    page = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text(encoding="utf-8")
    code = " ".join(re.findall(r"`([^`]+)`", page.replace("```", "")))
    named = [name for name in (*OPERATORS, *VARIABLES) if name.isidentifier() and name != "neg"]
    assert not [name for name in named if not re.search(rf"\b{name}\b", code)]


def test_planning_imports_nothing_heavy():
    program = (
        "import sys; from scripts.market import expressions; expressions.parse('rank(close)');"
        "assert not {'pandas', 'scipy', 'pyarrow', 'talib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
