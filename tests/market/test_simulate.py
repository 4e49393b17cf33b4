import numpy as np
import pandas as pd
import pytest

from scripts.common.errors import StudyError
from scripts.common.timeframes import duration
from scripts.market.bars import tidy
from scripts.market.calendars import grid
from scripts.market.checks import inspect
from scripts.market.sources import simulate

SOURCE = {
    "kind": "simulate", "start": "2021-01-01", "end": "2022-01-01", "signal": 0.0, "signal_horizon": 5,
    "correlation": 0.6, "annual_volatility": 0.6,
}  # fmt: skip


def simulated(symbol="AAA", seed=7, timeframe="1h", calendar="always", **settings):
    return simulate.read(
        symbol, SOURCE | settings, files=[], timeframe=timeframe, calendar=calendar, span={}, seed=seed
    )


def returns(frame):
    return np.diff(np.log(frame["close"]))


def test_a_later_end_and_other_symbols_change_no_bar():
    short, long = simulated(end="2021-03-05", signal=0.1)[0], simulated(end="2023-01-01", signal=0.1)[0]
    pd.testing.assert_frame_equal(short, long.iloc[: len(short)], check_exact=True)
    simulated("BBB")
    pd.testing.assert_frame_equal(simulated(end="2021-03-05", signal=0.1)[0], short, check_exact=True)
    assert not np.array_equal(short["close"], simulated(end="2021-03-05", signal=0.1, seed=8)[0]["close"])


def test_bars_are_plausible_and_pass_every_check():
    frame, _ = simulated(end="2024-01-01", signal=0.2)
    kept, quarantined, findings = inspect(
        frame, timeframe="1h", calendar="always", max_gap="1h", max_abs_log_return=0.35, on_violation="fail"
    )
    assert (len(kept), len(quarantined), findings) == (len(frame), 0, [])
    assert (frame["high"] > frame["low"]).mean() > 0.999 and (frame["volume"] > 0).all()
    assert tidy(frame).equals(frame)


def test_returns_are_correlated_have_fat_tails_and_clusters_of_volatility():
    first, second = (returns(simulated(name, end="2025-01-01")[0]) for name in ("AAA", "BBB"))
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.6, abs=0.06)
    apart = [returns(simulated(name, correlation=0.0)[0]) for name in ("AAA", "BBB")]
    assert abs(np.corrcoef(*apart)[0, 1]) < 0.04
    assert first.std() * np.sqrt(8766) == pytest.approx(0.6, rel=0.2)
    assert (first**4).mean() / (first**2).mean() ** 2 > 4.5
    assert np.corrcoef(np.abs(first[1:]), np.abs(first[:-1]))[0, 1] > 0.08


@pytest.mark.parametrize(("calendar", "timeframe"), [("fx", "1h"), ("metals", "1h"), ("XNYS", "1d"), ("CME", "4h")])
def test_bars_stand_on_the_calendar_and_open_with_a_gap(calendar, timeframe):
    frame, _ = simulated(calendar=calendar, timeframe=timeframe)
    assert pd.DatetimeIndex(frame["timestamp"]).equals(grid(calendar, timeframe, "2021-01-01", "2022-01-01"))
    gap = np.abs(np.log(frame["open"].to_numpy()[1:] / frame["close"].to_numpy()[:-1])) > 1e-6
    after_silence = np.diff(frame["timestamp"]) > np.timedelta64(duration(timeframe))
    assert after_silence.any() and (gap == after_silence).mean() > 0.99


def test_without_signal_there_is_no_oracle_and_the_volumes_are_the_same():
    plain, notes = simulated()
    planted, other = simulated(signal=0.2)
    assert notes["oracle_auc"] is None and other["oracle_auc"]["auc"] > 0.6
    assert plain["volume"].equals(planted["volume"]) and not plain["close"].equals(planted["close"])


def state_seen_in(frame):
    """What anybody can see: the log volume over its mean of a week."""
    logs = np.log(frame["volume"])
    return (logs - logs.rolling(168).mean()).to_numpy()


def auc_of(score, close, horizon):
    rises, score = close[horizon:] > close[:-horizon], score[:-horizon]
    known = np.isfinite(score)
    rises, ranks = rises[known], pd.Series(score[known]).rank().to_numpy()
    positives = rises.sum()
    return (ranks[rises].sum() - positives * (positives + 1) / 2) / (positives * (len(rises) - positives))


def test_the_volume_shows_the_state_only_where_there_is_a_signal():
    none, _ = simulated(end="2031-01-01")
    strong, notes = simulated(end="2031-01-01", signal=0.2)
    assert auc_of(state_seen_in(none), none["close"].to_numpy(), 5) == pytest.approx(0.5, abs=0.012)
    seen = auc_of(state_seen_in(strong), strong["close"].to_numpy(), 5)
    assert notes["oracle_auc"]["auc"] - 0.02 < seen < notes["oracle_auc"]["auc"]


# the table in the module's docstring
@pytest.mark.parametrize(
    ("signal", "horizon", "auc"), [(0.1, 5, 0.586), (0.2, 1, 0.600), (0.2, 5, 0.663), (0.3, 24, 0.698)]
)
def test_the_oracle_is_as_good_as_documented(signal, horizon, auc):
    _, notes = simulated(end="2041-01-01", signal=signal, signal_horizon=horizon)
    assert notes["oracle_auc"]["horizon"] == horizon and notes["oracle_auc"]["n"] > 175_000
    assert notes["oracle_auc"]["auc"] == pytest.approx(auc, abs=0.008)


def test_a_span_without_bars_is_named():
    with pytest.raises(StudyError, match="no bar of 1d on calendar XNYS"):
        simulated(start="2021-01-02", end="2021-01-03", timeframe="1d", calendar="XNYS")
