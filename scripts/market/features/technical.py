"""Eighty features of one symbol's bars: momentum, trend, volatility, range, volume and calendar.

All are free of scale (no raw prices or volumes). The number in a name is its window in bars. Volatility is per bar,
not per year. Recursive averages (RSI, ATR, ADX, MACD, EMA) are TA-Lib's; what TA-Lib computes with running sums is
computed here from sliding windows, so that a value does not depend on where the series begins.
"""

from dataclasses import dataclass

import numpy as np

from scripts.market import windows
from scripts.market.windows import log_return, ratio

SCOPE = "symbol"
# ADX, Wilder's average of Wilder's averages over 14 bars, has forgotten its seed to the last bit of a float64 after
# 600 to 640 bars (to the last bit of a float32 after 480); all windows are shorter.
LOOKBACK = 640

# Bars after which a market without any move has no state left worth a number.
FLAT = 168

NAMES = (
    # momentum
    *("ret_1", "ret_2", "ret_3", "ret_6", "ret_12", "roc_24", "roc_72", "roc_168", "ret_z_20", "ret_z_72"),
    *("sharpe_24", "sharpe_72", "rsi_7", "rsi_14", "stoch_k_14", "cci_20", "up_share_24", "autocorr_72"),
    # trend
    *("sma_ratio_10", "sma_ratio_20", "sma_ratio_50", "sma_ratio_168", "sma_cross_20_50", "sma_cross_50_168"),
    *("ema_ratio_12", "ema_ratio_26", "macd", "macd_signal", "macd_hist", "adx_14", "plus_di_14", "minus_di_14"),
    *("aroon_osc_25", "efficiency_ratio_24", "efficiency_ratio_72"),
    # volatility
    *("hvol_10", "hvol_20", "hvol_72", "hvol_168", "hvol_ratio_20_168", "parkinson_20", "garman_klass_20"),
    *("rogers_satchell_20", "atr_pct_14", "bb_percent_20", "bb_width_20", "downside_share_72", "vol_of_vol_72"),
    "largest_move_24",
    # range
    *("range_pct", "range_ratio_20", "close_location", "body_share", "upper_shadow", "lower_shadow", "open_gap"),
    *("channel_position_72", "channel_position_168", "drawdown_168"),
    # volume
    *("volume_ratio_20", "volume_ratio_168", "log_volume_gap_168", "volume_z_20", "volume_z_72", "volume_z_168"),
    *("volume_trend_6_168", "volume_trend_24_168", "signed_volume_24", "money_flow_20", "mfi_14"),
    *("illiquidity_20_168", "vwap_ratio_24"),
    # calendar
    *("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "month_day_sin", "month_day_cos", "month_sin", "month_cos"),
)


@dataclass(frozen=True)
class Series:
    """The columns of a frame of bars as float64 arrays, and what most features start from."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    ret: np.ndarray
    log_volume: np.ndarray
    still: np.ndarray

    @classmethod
    def of(cls, bars):
        """From a DataFrame of bars. ``ret`` is the log return of the bar, ``log_volume`` is unknown at volume 0."""
        columns = [bars[name].to_numpy("float64") for name in ("open", "high", "low", "close", "volume")]
        _, high, low, close, volume = columns
        log_volume = np.log(np.where(volume > 0, volume, np.nan))
        return cls(*columns, log_return(close, 1), log_volume, standstill(high, low, close))


def names():
    """The names of the features, in the order of the columns."""
    return NAMES


def compute(bars):
    """The features of every row of ``bars`` as float32, with its index: finite, or NaN where unknown."""
    import pandas as pd

    # where bad prices are let through (on_violation: ignore), logarithms of zero become NaN below
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        columns = compute_columns(bars) if len(bars) else dict.fromkeys(NAMES, np.empty(0))
        table = np.column_stack([columns[name] for name in NAMES]).astype("float32")
    table[~np.isfinite(table)] = np.nan
    return pd.DataFrame(table, index=bars.index, columns=list(NAMES))


def compute_columns(bars):
    """``{name: float64 array}`` of all features."""
    series = Series.of(bars)
    groups = (momentum(series), trend(series), volatility(series), candle(series), volume(series))
    return {name: values for group in groups for name, values in group.items()} | calendar(bars["timestamp"])


def momentum(s):
    """How far and how steadily the price has moved."""
    import talib

    columns = {f"ret_{n}": log_return(s.close, n) for n in (1, 2, 3, 6, 12)}
    columns |= {f"roc_{n}": talib.ROCP(s.close, n) for n in (24, 72, 168)}
    columns |= {f"ret_z_{n}": windows.z_score(s.ret, n) for n in (20, 72)}
    columns |= {f"sharpe_{n}": ratio(windows.mean(s.ret, n), windows.deviation(s.ret, n)) for n in (24, 72)}
    columns |= {f"rsi_{n}": settled(s, talib.RSI(s.close, n)) for n in (7, 14)}
    return columns | {
        "stoch_k_14": 100 * channel_position(s, 14),
        "cci_20": commodity_channel_index(s, 20),
        "up_share_24": windows.mean(np.where(np.isnan(s.ret), np.nan, s.ret > 0), 24),
        "autocorr_72": windows.correlation(s.ret, windows.lag(s.ret, 1), 72),
    }


def trend(s):
    """Where the price stands against its averages, and whether it has a direction."""
    import talib

    simple = {n: windows.mean(s.close, n) for n in (10, 20, 50, 168)}
    line, signal, histogram = talib.MACD(s.close, 12, 26, 9)
    plus, minus = talib.PLUS_DI(s.high, s.low, s.close, 14), talib.MINUS_DI(s.high, s.low, s.close, 14)
    columns = {f"sma_ratio_{n}": s.close / average - 1 for n, average in simple.items()}
    columns |= {f"ema_ratio_{n}": settled(s, s.close / talib.EMA(s.close, n) - 1) for n in (12, 26)}
    columns |= {f"efficiency_ratio_{n}": efficiency_ratio(s, n) for n in (24, 72)}
    return columns | {
        "sma_cross_20_50": simple[20] / simple[50] - 1,
        "sma_cross_50_168": simple[50] / simple[168] - 1,
        "macd": settled(s, line / s.close),
        "macd_signal": settled(s, signal / s.close),
        "macd_hist": settled(s, histogram / s.close),
        "adx_14": settled(s, directional_index(s, plus, minus)),
        "plus_di_14": settled(s, plus),
        "minus_di_14": settled(s, minus),
        "aroon_osc_25": talib.AROONOSC(s.high, s.low, 25),
    }


def volatility(s):
    """How widely the price moves, measured from closes and from ranges."""
    import talib

    historical = {n: windows.deviation(s.ret, n) for n in (10, 20, 72, 168)}
    moves = np.abs(s.ret)
    band = windows.deviation(s.close, 20, ddof=0)
    middle = windows.mean(s.close, 20)
    downside = np.where(s.ret < 0, s.ret, 0 * s.ret)
    return {f"hvol_{n}": values for n, values in historical.items()} | {
        "hvol_ratio_20_168": ratio(historical[20], historical[168]),
        "parkinson_20": parkinson(s, 20),
        "garman_klass_20": garman_klass(s, 20),
        "rogers_satchell_20": rogers_satchell(s, 20),
        "atr_pct_14": settled(s, talib.ATR(s.high, s.low, s.close, 14) / s.close),
        "bb_percent_20": ratio(s.close - (middle - 2 * band), 4 * band),
        "bb_width_20": 4 * band / middle,
        "downside_share_72": ratio(windows.total(downside**2, 72), windows.total(s.ret**2, 72)),
        "vol_of_vol_72": ratio(windows.deviation(moves, 72), windows.mean(moves, 72)),
        "largest_move_24": ratio(windows.highest(moves, 24), historical[168]),
    }


def candle(s):
    """The shape of the bar, and its place in the range of the last days."""
    spread, body_high, body_low = s.high - s.low, np.maximum(s.open, s.close), np.minimum(s.open, s.close)
    relative = np.log(s.high / s.low)
    return {
        "range_pct": relative,
        "range_ratio_20": ratio(relative, windows.mean(relative, 20)),
        "close_location": close_location(s),
        "body_share": ratio(s.close - s.open, spread),
        "upper_shadow": ratio(s.high - body_high, spread),
        "lower_shadow": ratio(body_low - s.low, spread),
        "open_gap": np.log(s.open / windows.lag(s.close, 1)),
        "channel_position_72": channel_position(s, 72),
        "channel_position_168": channel_position(s, 168),
        "drawdown_168": s.close / windows.highest(s.high, 168) - 1,
    }


def volume(s):
    """Activity: against its own past, and on which side of the market it stood.

    Log volumes need half of their window above zero; where all volume is zero everything here is unknown.
    """
    average = {n: windows.mean(s.log_volume, n, least=n // 2) for n in (6, 24, 168)}
    per_volume = np.abs(s.ret) / np.where(s.volume > 0, s.volume * s.close, np.nan)
    typical = (s.high + s.low + s.close) / 3
    located = np.nan_to_num(close_location(s)) * s.volume
    columns = {f"volume_ratio_{n}": ratio(s.volume, windows.mean(s.volume, n)) for n in (20, 168)}
    columns |= {f"volume_z_{n}": windows.z_score(s.log_volume, n, least=n // 2) for n in (20, 72, 168)}
    columns |= {f"volume_trend_{n}_168": average[n] - average[168] for n in (6, 24)}
    return columns | {
        "log_volume_gap_168": s.log_volume - average[168],
        "signed_volume_24": ratio(windows.total(np.sign(s.ret) * s.volume, 24), windows.total(s.volume, 24)),
        "money_flow_20": ratio(windows.total(located, 20), windows.total(s.volume, 20)),
        "mfi_14": money_flow_index(typical, s.volume, 14),
        "illiquidity_20_168": ratio(windows.mean(per_volume, 20, least=10), windows.mean(per_volume, 168, least=84)),
        "vwap_ratio_24": ratio(s.close * windows.total(s.volume, 24), windows.total(typical * s.volume, 24)) - 1,
    }


def calendar(timestamps):
    """Sine and cosine of a bar's open time (UTC) within the day, the week, the month and the year."""
    stamps = timestamps.dt.tz_localize(None).to_numpy().astype("datetime64[m]")
    days, months = stamps.astype("datetime64[D]"), stamps.astype("datetime64[M]")
    month_start, month_end = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]")
    phases = {
        "hour": (stamps - days) / np.timedelta64(1, "D"),
        "weekday": (days.astype("int64") + 3) % 7 / 7,  # the epoch was a Thursday; Monday is 0
        "month_day": (days - month_start) / (month_end - month_start),
        "month": months.astype("int64") % 12 / 12,
    }
    turns = {"sin": np.sin, "cos": np.cos}
    return {f"{name}_{turn}": turns[turn](2 * np.pi * phase) for name, phase in phases.items() for turn in turns}


def standstill(high, low, close):
    """Whether no price has moved for ``FLAT`` bars."""
    true_range = np.maximum(high, windows.lag(close, 1)) - np.minimum(low, windows.lag(close, 1))
    return windows.total(true_range, FLAT, least=1) == 0


def settled(s, values):
    """A recursive average's values without what a seed, or a market that stood still, leaves of itself.

    NaN in a standstill (TA-Lib then divides remainders of zero), and rounded to 12 decimals: a remainder of 1e-43 is
    there or not depending on where the series begins.
    """
    return np.where(s.still, np.nan, np.round(values, 12))


def close_location(s):
    """Where in its range a bar closed: -1 at the low, 1 at the high."""
    return ratio(2 * s.close - s.high - s.low, s.high - s.low)


def channel_position(s, n):
    """Where the close stands between the lowest low (0) and the highest high (1) of n bars."""
    low = windows.lowest(s.low, n)
    return ratio(s.close - low, windows.highest(s.high, n) - low)


def commodity_channel_index(s, n):
    """Lambert's index: distance of the typical price from its mean in 0.015 mean absolute deviations."""
    typical = (s.high + s.low + s.close) / 3
    centre = windows.mean(typical, n)
    return ratio(typical - centre, 0.015 * windows.mean_distance(typical, centre, n))


def efficiency_ratio(s, n):
    """Kaufman's ratio: net move over n bars to the sum of the moves; 1 is a straight line."""
    return ratio(np.abs(log_return(s.close, n)), windows.total(np.abs(s.ret), n))


def directional_index(s, plus, minus):
    """Wilder's ADX of 14 bars: an EMA over 27 bars weighs as his average over 14 does.

    TA-Lib's own ADX skips bars without any range, and so remembers a trend through a standstill of any length.
    """
    import talib

    none = s.still | (plus + minus == 0)
    return talib.EMA(np.where(none, 0.0, 100 * ratio(np.abs(plus - minus), plus + minus)), 27)


def parkinson(s, n):
    """Volatility from high and low (Parkinson 1980)."""
    return np.sqrt(windows.mean(np.log(s.high / s.low) ** 2, n) / (4 * np.log(2)))


def garman_klass(s, n):
    """Volatility from open, high, low and close (Garman and Klass 1980)."""
    variance = 0.5 * np.log(s.high / s.low) ** 2 - (2 * np.log(2) - 1) * np.log(s.close / s.open) ** 2
    return np.sqrt(np.maximum(windows.mean(variance, n), 0))


def rogers_satchell(s, n):
    """Volatility from open, high, low and close that allows for a drift (Rogers and Satchell 1991)."""
    up, down = np.log(s.high / s.close) * np.log(s.high / s.open), np.log(s.low / s.close) * np.log(s.low / s.open)
    return np.sqrt(np.maximum(windows.mean(up + down, n), 0))


def money_flow_index(typical, traded, n):
    """Share of the money that flowed while the typical price rose, in percent."""
    change, flow = typical - windows.lag(typical, 1), typical * traded
    unknown = np.where(np.isnan(change), np.nan, 0.0)
    rising = windows.total(np.where(change > 0, flow, unknown), n)
    falling = windows.total(np.where(change < 0, flow, unknown), n)
    return 100 * ratio(rising, rising + falling)
