"""Real daily bars that come with the arch package: S&P 500 and Nasdaq (1999 to 2018), VIX (2014 to 2019).

They need no network. Prices are as found. The VIX has closes only, and rows without a value on holidays.
"""

from scripts.common.errors import StudyError

SYMBOLS = ("SP500", "NASDAQ", "VIX")


def read(symbol, source, *, files, timeframe, calendar, span, seed):
    """The raw bars of one of the data sets of arch, and notes; see the package's docstring.

    Raises StudyError for another symbol or a timeframe other than a day.
    """
    if symbol not in SYMBOLS:
        raise StudyError(f"the bundled source has no symbol '{symbol}'; it has: {', '.join(SYMBOLS)}")
    if timeframe not in ("1d", "24h"):
        raise StudyError(f"the bundled bars are daily: set timeframe: 1d instead of {timeframe}")
    import arch
    import pandas as pd
    from arch.data import nasdaq, sp500, vix

    table = {"SP500": sp500, "NASDAQ": nasdaq, "VIX": vix}[symbol].load()
    stamps = pd.DatetimeIndex(table.index).tz_localize("UTC").as_unit("us")
    notes = {"origin": f"arch {arch.__version__}, arch.data.{symbol.lower()}"}
    if symbol == "VIX":
        close = table["vix"].to_numpy("float64")
        columns = {"open": close, "high": close, "low": close, "close": close, "volume": 0.0}
        notes["bars"] = (
            "closes only: open, high and low equal the close, volume is 0; holidays are rows without a value"
        )
    else:
        columns = {name.lower(): table[name].to_numpy("float64") for name in ("Open", "High", "Low", "Close", "Volume")}
        notes["bars"] = "an index: volume is that of its members"
    return pd.DataFrame({"timestamp": stamps, **columns}), notes
