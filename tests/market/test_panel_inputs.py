import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.market import panel_inputs
from tests.market.random_bars import random_bars


def write(folder, text):
    path = folder / "given.csv"
    path.write_text(text)
    return str(path)


def test_groups_are_read_by_symbol_and_what_is_missing_is_none(tmp_path):
    path = write(tmp_path, "symbol,sector,industry,extra\nNA,tech,,1\nBBB,oil,rigs,2\nCCC,oil,rigs,3\n")
    assert panel_inputs.read_industries(path, ["NA", "BBB"]) == {
        "NA": {"sector": "tech", "industry": None, "subindustry": None},
        "BBB": {"sector": "oil", "industry": "rigs", "subindustry": None},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,group\nAAA,x\n", "needs the column symbol and at least one of sector"),
        ("symbol,sector\nAAA,x\n", "lacks BBB"),
        ("symbol,sector\nAAA,x\nBBB,x\nAAA,y\n", "has AAA more than once"),
    ],
)
def test_defects_of_groups_are_named(tmp_path, text, message):
    with pytest.raises(StudyError, match=message):
        panel_inputs.read_industries(write(tmp_path, text), ["AAA", "BBB"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,mkt,smb\n2021-01-01,0,0\n", "lacks the columns hml"),
        ("date,mkt,smb,hml\n2021-01-02,0,0,0\n2021-01-01,0,0,0\n", "do not ascend"),
        ("date,mkt,smb,hml\n2021-01-01,1.5,0.2,0\n", "Divide them by 100"),
        ("date,mkt,smb,hml\n2021-01-01,x,0.2,0\n", "as fractions"),
    ],
)
def test_defects_of_factors_are_named(tmp_path, text, message):
    with pytest.raises(StudyError, match=message):
        panel_inputs.read_factors(write(tmp_path, text))


@pytest.fixture
def factors(tmp_path):
    """Friday the 1st to Tuesday the 5th of January 2021, mkt being the day's number in hundredths."""
    rows = "".join(f"202101{day:02d},{day / 100},0,0\n" for day in (1, 4, 5))
    return panel_inputs.read_factors(write(tmp_path, "date,mkt,smb,hml\n" + rows))


def test_a_daily_bar_has_the_factors_of_its_day(factors):
    bars = random_bars(6, start="2021-01-01", step="1D")
    table = panel_inputs.align_factors(factors, {"AAA": bars[1:], "BBB": bars[:3]}, "1d")
    assert list(table["timestamp"]) == list(bars["timestamp"])
    np.testing.assert_array_equal(table["mkt"], [0.01, np.nan, np.nan, 0.04, 0.05, np.nan])


def test_a_finer_bar_has_those_of_the_last_day_before_its_own(factors):
    bars = random_bars(14 * 24, start="2021-01-01")
    table = panel_inputs.align_factors(factors, {"AAA": bars}, "1h").groupby(bars["timestamp"].dt.day)
    assert (table["mkt"].nunique(dropna=False) == 1).all()
    expected = [np.nan, 0.01, 0.01, 0.01, 0.04, *[0.05] * 7, np.nan, np.nan]
    np.testing.assert_array_equal(table["mkt"].first(), expected)


def test_a_panel_or_a_file_without_rows_has_its_columns(factors):
    bars = random_bars(5)
    assert len(panel_inputs.align_factors(factors, {"AAA": bars[:0]}, "1h")) == 0
    assert panel_inputs.align_factors(factors[:0], {"AAA": bars}, "1h")["hml"].isna().all()


def test_only_what_is_given_is_read(tmp_path):
    bars = {"AAA": random_bars(5)}
    path = write(tmp_path, "symbol,sector\nAAA,x\n")
    assert panel_inputs.read({}, {}, bars, "1h") == {}
    groups = {"AAA": {"sector": "y", "industry": None, "subindustry": None}}
    found = panel_inputs.read({"industries": groups, "benchmark": "AAA"}, {}, bars, "1h")
    assert list(found) == ["industries", "benchmark"]
    assert found["industries"] == groups and found["benchmark"] is bars["AAA"]
    read = panel_inputs.read({"industries": True}, {"industries": [path]}, bars, "1h")
    assert read["industries"]["AAA"]["sector"] == "x"
