"""Monthly archives of candles (klines) as Binance publishes them: where they are, how to get them, what is in them.

``{base_url}/data/{spot|futures/um}/monthly/klines/{SYMBOL}/{interval}/{SYMBOL}-{interval}-{month}.zip``, beside each a
file ``.CHECKSUM`` with the text ``<sha256>  <name>``. A zip holds one csv, with or without a header, whose stamps are
milliseconds or, for spot since 2025, microseconds since the epoch.
"""

import hashlib
import http.client
import io
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from datetime import timedelta

from scripts.common.errors import StudyError
from scripts.common.job import progress
from scripts.common.periods import bounds
from scripts.common.timeframes import duration

FOLDERS = {"spot": "spot", "um": "futures/um"}
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d")
# The csv's columns up to the last one that is used; quote_volume, the turnover, is what bars call amount.
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume", "close_time", "amount")
BARS = tuple(name for name in COLUMNS if name != "close_time")
PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between tries: doubled each time
LARGEST_DOWNLOAD, LARGEST_CSV = 64 * 2**20, 512 * 2**20  # bytes; a month of minutes has 2 and 6 MB
MICROSECONDS_FROM = 10**14  # 1973 in microseconds, 5138 in milliseconds


class AbsentError(Exception):
    """The server has no such file (404)."""


class FaultyError(Exception):
    """A download failed in a way that another try may cure."""


def address(source, symbol, timeframe, month):
    """The URL of a month's archive.

    ``source`` is the config's section: ``base_url`` and ``market`` (spot or um). Raises StudyError for a timeframe
    that the archives do not have and for a base URL that is not one.
    """
    if not source["base_url"].startswith(("https://", "http://")):
        raise StudyError(f"source.base_url: '{source['base_url']}' is no address; it must begin with https://")
    step = duration(timeframe)
    interval = next((each for each in INTERVALS if duration(each) == step), None)
    if interval is None:
        raise StudyError(f"the archives have no bars of {timeframe}; set timeframe to one of {', '.join(INTERVALS)}")
    folder = f"data/{FOLDERS[source['market']]}/monthly/klines/{symbol}/{interval}"
    return f"{source['base_url'].rstrip('/')}/{folder}/{symbol}-{interval}-{month}.zip"


def fetch(source, symbol, timeframe, month):
    """``(bars, origin)`` of one month ("2024-01"): a DataFrame of raw bars and texts about where it comes from.

    ``origin`` is ``{"month", "url", "sha256"}``. A month that the server does not have gives an empty table and
    ``{"month", "url", "absent": reason}``.

    Tries ``1 + source["retries"]`` times, after a pause that doubles, where the server fails (5xx, 408, 429), the
    connection breaks or is silent for ``source["timeout"]`` seconds, the file is cut short or its checksum is wrong.
    Raises StudyError when all tries fail, when the server refuses, and for a verified file that is no month of bars.
    """
    url = address(source, symbol, timeframe, month)
    tries = 1 + source["retries"]
    for attempt in range(tries):
        try:
            content, digest = download(url, source["timeout"])
            break
        except AbsentError:
            return _table([]), {"month": month, "url": url, "absent": "the server has no such file (404)"}
        except FaultyError as error:
            if attempt + 1 == tries:
                raise StudyError(
                    f"{url}: {error}; tried {tries} time{'s' if tries > 1 else ''}. Check the network, source.base_url "
                    "and source.timeout, then run again: the months already fetched are kept"
                ) from None
            pause = min(PAUSE * 2**attempt, LONGEST_PAUSE)
            progress.info("%s, %s: %s; trying again in %g s", symbol, month, error, pause)
            time.sleep(pause)
    try:
        return parse(unpack(content), month), {"month": month, "url": url, "sha256": digest}
    except StudyError as error:
        raise StudyError(
            f"{url}: the checksum is right, but {error}. Look at the file; to do without it, change the span"
        ) from None


def download(url, timeout):
    """``(content, sha256)`` of an archive whose SHA-256 is the one its .CHECKSUM states.

    Raises AbsentError when the archive is not there, FaultyError where another try may help, StudyError when refused.
    """
    content = _get(url, timeout)
    try:
        words = _get(f"{url}.CHECKSUM", timeout).decode("ascii", "replace").split()
    except AbsentError:
        raise FaultyError("the archive is there, its .CHECKSUM is not") from None
    stated = words[0].lower() if words else "nothing"
    digest = hashlib.sha256(content).hexdigest()
    if digest != stated:
        raise FaultyError(f"wrong checksum: the file has {digest[:12]}..., its .CHECKSUM says {stated[:12]}...")
    return content, digest


def _get(url, timeout):
    """The whole content at ``url``; raises as :func:`download`."""
    request = urllib.request.Request(url, headers={"User-Agent": "quantmake"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            size = response.headers.get("Content-Length")
            content = response.read(LARGEST_DOWNLOAD + 1)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            raise AbsentError from None
        if error.code >= 500 or error.code in (408, 429):
            raise FaultyError(f"the server answered {error.code} {error.reason}") from None
        raise StudyError(
            f"{url}: the server refuses it ({error.code} {error.reason}). Check source.base_url, and whether the "
            "server may be used from here"
        ) from None
    except http.client.IncompleteRead:
        raise FaultyError("the file was cut short") from None
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        raise FaultyError(f"the connection failed ({getattr(error, 'reason', None) or error})") from None
    if len(content) > LARGEST_DOWNLOAD:
        raise StudyError(f"{url}: more than {LARGEST_DOWNLOAD:,} bytes are no month of bars. Check source.base_url")
    # read(n) of http.client is silent about a connection that ends early
    if size and len(content) < int(size):
        raise FaultyError(f"the file was cut short ({len(content)} of {size} bytes)")
    return content


def unpack(content):
    """The text of the one csv in a zip. Raises StudyError, as the end of a sentence, when that is not what it is."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) != 1:
                raise StudyError(f"it holds {len(members)} files instead of one csv")
            if members[0].file_size > LARGEST_CSV:
                raise StudyError(f"its csv would have {members[0].file_size:,} bytes, which is no month of bars")
            return archive.read(members[0]).decode("ascii")
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, UnicodeDecodeError) as error:
        raise StudyError(f"it is no zip with a csv in it ({error})") from None


def parse(text, month):
    """The csv of a month as raw bars in the file's order: timestamp, open, high, low, close, volume, amount.

    Raises StudyError, as the end of a sentence, when there are no rows, unreadable ones, or some outside of the month.
    """
    import pandas as pd

    header = 0 if text[:1].isdigit() else 1
    try:
        rows = pd.read_csv(
            io.StringIO(text),
            header=None,
            skiprows=header,
            usecols=range(len(COLUMNS)),
            names=COLUMNS,
            dtype={"timestamp": "int64"} | dict.fromkeys(COLUMNS[1:], "float64"),
            float_precision="round_trip",
        )
    except ValueError as error:  # pandas' parsing errors are ValueErrors
        raise StudyError(f"its csv cannot be read ({error})") from None
    if rows.empty:
        raise StudyError("its csv has no rows")
    table = _table(rows)
    start, end = bounds(month)
    outside = table["timestamp"][(table["timestamp"] < start) | (table["timestamp"] >= end)]
    if len(outside):
        raise StudyError(f"{len(outside)} of its {len(table)} rows are not of {month}, such as {outside.iloc[0]}")
    return table


def _table(rows):
    """Raw bars of a csv's rows, whose stamps are milliseconds or microseconds since the epoch."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=BARS)
    stamps = table["timestamp"].astype("int64")
    stamps = stamps.where(stamps >= MICROSECONDS_FROM, stamps * 1000)
    # checked here, where it is still a number: beyond these years it is no stamp and cannot become one
    if not stamps.between(0, timedelta(days=100 * 365) // timedelta(microseconds=1)).all():
        raise StudyError(f"its first column is no time since the epoch (from {stamps.min()} to {stamps.max()})")
    table["timestamp"] = pd.to_datetime(stamps, unit="us", utc=True).astype("datetime64[us, UTC]")
    return table.astype(dict.fromkeys(BARS[1:], "float64"))
