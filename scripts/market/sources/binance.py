"""Monthly kline archives as Binance publishes them, downloaded by ``fetch_archive`` and read here.

``{base_url}/data/{spot|futures/um}/monthly/klines/{SYMBOL}/{timeframe}/{SYMBOL}-{timeframe}-{month}.zip``, beside each
a file ``.CHECKSUM`` with its SHA-256. A zip holds one csv, with or without a header, whose stamps are milliseconds or,
for spot since 2025, microseconds since the epoch.
"""

import hashlib
import http.client
import io
import time
import urllib.error
import urllib.request
import zipfile

from scripts.common.errors import StudyError
from scripts.common.job import progress

FOLDERS = {"spot": "spot", "um": "futures/um"}
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume", "close_time", "amount")
PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between tries: doubled each time


class Absent(Exception):
    """The server has no such file (404)."""


class Faulty(Exception):
    """A download that may succeed when it is repeated."""


def read(symbol, source, *, files, timeframe, calendar, span, seed):
    """The raw bars of the months in ``files`` (as ``fetch_archive`` wrote them) and notes; see the package's docstring.

    Raises StudyError when no month has bars.
    """
    import pandas as pd
    import pyarrow.parquet

    months, absent = [], []
    for file in files:
        table = pyarrow.parquet.read_table(file)
        reason = (table.schema.metadata or {}).get(b"absent")
        if reason:
            absent.append(reason.decode())
        else:
            months.append(table.to_pandas())
    if not months:
        raise StudyError(
            f"{symbol}: the archive has none of the {len(files)} months of the span ({'; '.join(absent[:3])}). "
            "Check the symbol, the span and source.market (spot or um)"
        )
    return pd.concat(months, ignore_index=True), {"months": len(months), "absent": absent}


def address(source, symbol, timeframe, month):
    """The URL of a month's archive."""
    folder = f"data/{FOLDERS[source['market']]}/monthly/klines/{symbol}/{timeframe}"
    return f"{source['base_url'].rstrip('/')}/{folder}/{symbol}-{timeframe}-{month}.zip"


def fetch(source, symbol, timeframe, month):
    """``(bars, metadata)`` of one month: a DataFrame of raw bars and ``{"url", "sha256"}``.

    Tries ``1 + source["retries"]`` times, with a pause that doubles, when the server fails (5xx, 429), the connection
    breaks or times out, the file is cut short or its checksum is wrong. A month that the server does not have gives an
    empty table and ``{"url", "absent": reason}``. Raises StudyError when all tries fail.
    """
    url = address(source, symbol, timeframe, month)
    for attempt in range(source["retries"] + 1):
        try:
            content = _download(url, source["timeout"])
            digest = _verify(url, content, source["timeout"])
            return _bars(url, content), {"url": url, "sha256": digest}
        except Absent:
            return _bars(url, None), {"url": url, "absent": f"{month}: the server has no such month (404)"}
        except Faulty as error:
            if attempt == source["retries"]:
                raise StudyError(
                    f"{url}: {error}, after {attempt + 1} tries. Check the network and source.base_url and run again; "
                    "months that were fetched are kept"
                ) from None
            wait = min(PAUSE * 2**attempt, LONGEST_PAUSE)
            progress.info("%s; trying again in %g s", error, wait)
            time.sleep(wait)
    raise AssertionError("unreachable")


def _download(url, timeout):
    """The content at ``url``; Absent on 404, Faulty on what a repetition may cure, StudyError on other refusals."""
    request = urllib.request.Request(url, headers={"User-Agent": "quantmake"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise Absent from None
        if error.code >= 500 or error.code in (408, 429):
            raise Faulty(f"the server answered {error.code}") from None
        raise StudyError(f"{url}: the server refuses ({error.code} {error.reason}). Check source.base_url") from None
    except http.client.IncompleteRead:
        raise Faulty("the connection broke in the middle of the file") from None
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        raise Faulty(f"no connection ({getattr(error, 'reason', None) or error})") from None


def _verify(url, content, timeout):
    """The SHA-256 of ``content``, which must be the one that the server names."""
    try:
        stated = _download(f"{url}.CHECKSUM", timeout).decode("ascii", "replace").split()
    except Absent:
        raise Faulty("the archive is there, its .CHECKSUM is not") from None
    digest = hashlib.sha256(content).hexdigest()
    if not stated or stated[0].lower() != digest:
        raise Faulty(f"the checksum of the file is {digest[:12]}..., the server says {' '.join(stated)[:12] or 'nothing'}...")
    return digest


def _bars(url, content):
    """The rows of an archive as raw bars; an empty table of the same form for None."""
    import pandas as pd

    columns = [name for name in COLUMNS if name != "close_time"]
    if content is None:
        rows = pd.DataFrame(columns=columns, dtype="float64")
    else:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                text = archive.read(archive.namelist()[0]).decode("ascii")
        except (zipfile.BadZipFile, IndexError, UnicodeDecodeError) as error:
            raise StudyError(f"{url}: the checksum is right, but this is no zip with a csv in it ({error})") from None
        header = 0 if text[:1].isdigit() else 1
        rows = pd.read_csv(io.StringIO(text), header=None, skiprows=header, usecols=range(len(COLUMNS)), names=COLUMNS)
        rows = rows[columns]
    # milliseconds since the epoch reach 1e14 in the year 5138
    stamps = rows["timestamp"].astype("int64")
    stamps = stamps.where(stamps >= 10**14, stamps * 1000)
    rows["timestamp"] = pd.to_datetime(stamps, unit="us", utc=True).astype("datetime64[us, UTC]")
    return rows.astype({name: "float64" for name in columns if name != "timestamp"})
