"""The rows that models eat: features by period, set by set, joined with labels.

Times are numpy ``datetime64[us]`` in UTC (naive, as numpy has no zones); features are a float32 matrix in row order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.errors import StudyError


@dataclass(frozen=True)
class Features:
    """``timestamp`` ``[n]`` ascending, ``x`` float32 ``[n, f]`` (finite or NaN), ``names`` of the f columns."""

    timestamp: np.ndarray
    x: np.ndarray
    names: list


@dataclass(frozen=True)
class Labels:
    """Labelled bars, ``timestamp`` ascending.

    ``t1``: open time of the bar whose close ends the label; ``y``: int8, 0 or 1; ``forward_return``: float64.
    """

    timestamp: np.ndarray
    t1: np.ndarray
    y: np.ndarray
    forward_return: np.ndarray


@dataclass(frozen=True)
class Rows:
    """Labelled bars with their features: ``x`` float32 ``[n, f]`` in C order, ``y`` int8, the rest as in the parts."""

    timestamp: np.ndarray
    t1: np.ndarray
    y: np.ndarray
    forward_return: np.ndarray
    x: np.ndarray
    names: list


def load(features, sets, labels, *, panels=None):
    """The :class:`Rows` of some periods: every labelled bar, with its features.

    ``features``: files, set by set and within a set by period; ``sets``: their names; ``labels``: files by period;
    ``panels``: whose columns of each panel set are taken (see :func:`read_features`). Raises StudyError when files and
    sets do not match or a labelled bar has no features.
    """
    if len(features) != len(sets) * len(labels):
        raise StudyError(
            f"{len(features)} feature files for {len(sets)} sets and {len(labels)} periods: one each is needed"
        )
    known = read_labels(labels)
    found = read_features(features, sets, panels=panels, timestamp=known.timestamp)
    return Rows(known.timestamp, known.t1, known.y, known.forward_return, found.x, found.names)


def read_labels(files):
    """The :class:`Labels` in files by period."""
    table = _read(files, ["timestamp", "t1", "y", "forward_return"])
    labels = Labels(*(table[name].to_numpy() for name in ("timestamp", "t1", "y", "forward_return")))
    _check_order(labels.timestamp, files)
    return labels


def read_features(files, sets, *, panels=None, timestamp=None):
    """The :class:`Features` of some sets, side by side, at the stamps ``timestamp`` (default: those of the first set).

    ``files``: set by set, each by period. Files of a panel set lie in a folder ``panel`` and have columns
    ``{symbol}__{feature}``; ``panels`` says for each such set whose are taken: a list of peers (peer by peer, under
    these names), or one symbol, the target (under the name ``{feature}``). Raises StudyError when a stamp is missing in
    a set, a name comes twice, a panel set is used without peers, or a value is infinite.
    """
    if not sets or len(files) % len(sets):
        raise StudyError(f"{len(files)} feature files cannot be shared out to {len(sets)} sets")
    periods = len(files) // len(sets)
    blocks, names = [], []
    for number, name in enumerate(sets):
        own = files[number * periods : (number + 1) * periods]
        columns = _columns(own[0], name, (panels or {}).get(name, []))
        table = _read(own, ["timestamp", *columns])
        stamps = table["timestamp"].to_numpy()
        _check_order(stamps, own)
        timestamp = stamps if timestamp is None else timestamp
        blocks.append(np.column_stack([table[each].to_numpy() for each in columns])[_places(stamps, timestamp, name)])
        names += columns.values()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StudyError(
            f"feature sets {', '.join(sets)} share the names {', '.join(twice)}: a model can use one of them"
        )
    x = np.ascontiguousarray(np.hstack(blocks), dtype=np.float32)
    _check_finite(x, names, timestamp)
    return Features(timestamp, x, names)


def read_column(files, name):
    """``(timestamp, values)`` of one column of files by period. Raises StudyError where they do not have it."""
    if name not in pq.read_schema(files[0]).names:
        raise StudyError(
            f"{files[0]} has no column {name}: what it needs (see the log of its job) is not there; leave it out of "
            "`meta.extra` or give the market what it needs"
        )
    table = _read(files, ["timestamp", name])
    return table["timestamp"].to_numpy(), table[name].to_numpy()


def _columns(file, name, symbols):
    """``{column: name of the feature}`` of what is to be taken from a set's files."""
    columns = [each for each in pq.read_schema(file).names if each != "timestamp"]
    if Path(file).parent.name != "panel":
        return dict(zip(columns, columns, strict=True))
    if not symbols:
        raise StudyError(f"feature set '{name}' has columns for each peer, and the ensemble has no `peers`: name some")
    chosen = {}
    for symbol in [symbols] if isinstance(symbols, str) else symbols:
        own = [each for each in columns if each.startswith(f"{symbol}__")]
        if not own:
            raise StudyError(f"{file} has no columns {symbol}__...: is {symbol} a symbol of this market?")
        chosen |= {each: each.removeprefix(f"{symbol}__") if isinstance(symbols, str) else each for each in own}
    return chosen


def _read(files, columns):
    """One table of the columns of files by period."""
    return pa.concat_tables([pq.read_table(file, columns=columns, use_threads=False) for file in files])


def _places(stamps, wanted, name):
    """Where each wanted stamp stands in ``stamps``; StudyError when one is missing."""
    places = np.searchsorted(stamps, wanted)
    missing = np.append(stamps, np.datetime64("NaT"))[places] != wanted
    if missing.any():
        raise StudyError(
            f"feature set '{name}' has no row for {missing.sum()} labelled bars, the first at {wanted[missing][0]} "
            "UTC: features and labels were made from different bars; delete the feature files of that period and rerun"
        )
    return places


def _check_order(stamps, files):
    if len(stamps) > 1 and not (np.diff(stamps) > np.timedelta64(0)).all():
        raise StudyError(f"the stamps of {files[0]} to {files[-1]} do not ascend: periods overlap or are out of order")


def _check_finite(x, names, timestamp):
    infinite = np.isinf(x)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise StudyError(
            f"feature {names[column]} is infinite at {timestamp[row]} UTC ({infinite.sum()} values in all): "
            "a feature is finite or NaN; mend the feature set"
        )
