"""Monthly kline archives of Binance: ``fetch_archive`` downloads each month to a file, here the files are read.

See :mod:`scripts.market.archives` for the archives themselves.
"""

from scripts.common.errors import StudyError


def read(symbol, source, *, files, timeframe, calendar, span, seed):
    """The raw bars of the months in ``files`` (as ``fetch_archive`` wrote them) and notes; see the package's docstring.

    Notes are ``{"months": how many have bars, "absent_months": ["2024-05", ...]}``; the latter are those that the
    server did not have. Raises StudyError when no month has bars.
    """
    import pandas as pd
    import pyarrow.parquet

    months, absent = [], []
    for file in files:
        table = pyarrow.parquet.read_table(file)
        if b"absent" in table.schema.metadata:
            absent.append(table.schema.metadata[b"month"].decode())
        else:
            months.append(table.to_pandas())
    if not months:
        which = f"{absent[0]} to {absent[-1]}" if absent else "none was asked for"
        raise StudyError(
            f"{symbol}: {source['base_url']} has none of the {len(files)} months of the span ({which}). Check the "
            f"symbol, markets.<name>.span and source.market (now {source['market']}); then delete the symbol's folder "
            "in archive/, which remembers that the months are absent"
        )
    return pd.concat(months, ignore_index=True), {"months": len(months), "absent_months": absent}
