"""What a kind gets to make its samples from: settings, seed, and the rows of a market."""

from dataclasses import dataclass, field

import numpy as np

from scripts.common.periods import iso, period_of


@dataclass(frozen=True)
class Rows:
    """The bars of one symbol and, row by row, its features.

    ``bars``: DataFrame timestamp open high low close volume; ``features``: ``{name: float32 array}`` of the same
    length, NaN where unknown.
    """

    bars: object
    features: dict


@dataclass(frozen=True)
class Part:
    """One part of a corpus, to be built. ``settings`` is the config's dict of the part.

    ``rows``: ``{symbol: Rows}`` for kinds that are made from a market, else empty; ``timeframe``, ``partition`` and
    ``market`` (its name) are those of the rows. ``file``: the path of a ``files`` part.
    """

    name: str
    settings: dict
    seed: int
    market: str | None = None
    timeframe: str | None = None
    partition: str = "quarter"
    rows: dict = field(default_factory=dict)
    file: str | None = None

    def period(self, stamp):
        """The name of the period that contains a row's stamp: what is never shared by two splits."""
        return period_of(_moment(stamp), self.partition)

    def iso(self, stamp):
        """A row's stamp as the files have it."""
        return iso(_moment(stamp))


def _moment(stamp):
    return np.datetime64(stamp, "us").item() if isinstance(stamp, np.datetime64) else stamp.to_pydatetime()
