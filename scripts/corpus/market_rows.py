"""The rows that market samples are written from: bars with their features, symbol by symbol."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.errors import StudyError
from scripts.corpus.parts import Rows
from scripts.market import bars
from scripts.market.resampling import resample


def read_rows(inputs, params):
    """``{symbol: Rows}`` from a job's inputs ``bars`` (one a symbol) and ``features`` (symbol by symbol, by period).

    Raises StudyError when bars and features do not match.
    """
    rows = {}
    for symbol, path in zip(params.symbols, inputs.bars, strict=True):
        own = resample(bars.read(path), params.source_timeframe, params.timeframe).reset_index(drop=True)
        # a symbol has files of the periods in which it has bars: .../<symbol>/<period>.parquet
        files = [each for each in inputs.features if Path(each).parent.name == symbol]
        rows[symbol] = Rows(own, _features(files, own, symbol))
    return rows


def _features(files, own, symbol):
    """``{name: array}`` of the features of a symbol's bars."""
    table = pa.concat_tables([pq.read_table(file, use_threads=False) for file in files])
    stamps = table["timestamp"].to_pandas()
    if len(stamps) != len(own) or not (pd.DatetimeIndex(stamps) == pd.DatetimeIndex(own["timestamp"])).all():
        raise StudyError(
            f"{symbol} has {len(own)} bars and {len(stamps)} rows of features, or they differ in time: features were "
            "made from other bars; delete the feature files of the symbol and rerun"
        )
    return {
        name: np.asarray(table[name].to_numpy(zero_copy_only=False), dtype="float32")
        for name in table.column_names
        if name != "timestamp"
    }
