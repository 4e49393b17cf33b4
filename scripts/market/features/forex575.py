"""575 features of one symbol: Alpha158, Alpha360, and 57 of ``technical``.

The 57 are those that say what candles and sixty lags do not: windows beyond sixty bars, recursive averages, volatility
from returns and ranges, volume against its own past in logarithms, flow, and the calendar.
"""

from scripts.market import formula_sets
from scripts.market.features import technical

SCOPE = "symbol"

TECHNICAL = (
    # momentum
    *(
        "roc_72",
        "roc_168",
        "ret_z_20",
        "ret_z_72",
        "sharpe_24",
        "sharpe_72",
        "rsi_7",
        "rsi_14",
        "cci_20",
        "autocorr_72",
    ),
    # trend
    *("sma_ratio_168", "sma_cross_20_50", "sma_cross_50_168", "ema_ratio_26", "macd", "macd_signal", "macd_hist"),
    *("adx_14", "plus_di_14", "minus_di_14", "efficiency_ratio_24", "efficiency_ratio_72"),
    # volatility
    *("hvol_20", "hvol_72", "hvol_168", "hvol_ratio_20_168", "parkinson_20", "garman_klass_20", "rogers_satchell_20"),
    *("atr_pct_14", "bb_percent_20", "downside_share_72", "vol_of_vol_72", "largest_move_24"),
    # range
    *("range_ratio_20", "channel_position_72", "channel_position_168", "drawdown_168"),
    # volume
    *("log_volume_gap_168", "volume_z_20", "volume_z_72", "volume_z_168", "volume_trend_6_168", "volume_trend_24_168"),
    *("signed_volume_24", "money_flow_20", "mfi_14", "illiquidity_20_168", "vwap_ratio_24"),
    # calendar
    *("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "month_day_sin", "month_day_cos", "month_sin", "month_cos"),
)


def names():
    """Those of alpha158, of alpha360, and ``TECHNICAL``."""
    return (*formula_sets.names("alpha158"), *formula_sets.names("alpha360"), *TECHNICAL)


def definition():
    """``{name: expression}`` of the first 518."""
    return formula_sets.definition("alpha158") | formula_sets.definition("alpha360")


def compute(bars):
    """The features of every row of ``bars`` as float32, with its index."""
    import pandas as pd

    parts = [formula_sets.compute(family, bars) for family in ("alpha158", "alpha360")]
    return pd.concat([*parts, technical.compute(bars)[list(TECHNICAL)]], axis=1)


def __getattr__(name):
    """LOOKBACK, read from the formulas when it is asked for."""
    if name == "LOOKBACK":
        return max(technical.LOOKBACK, formula_sets.lookback("alpha158"), formula_sets.lookback("alpha360"))
    raise AttributeError(name)
