"""Monthly archives from a server on loopback that serves the layout of data.binance.vision, with its mishaps."""

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet
import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.market import archives, fetch_archive
from scripts.market.sources import binance

HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,x,ignore\n"
MONTH = "2024-03"


def klines(month=MONTH, hours=5, unit="ms", header=False):
    """The csv of a month as the archives have it: twelve columns, stamps in ms or us."""
    scale = {"ms": 10**3, "us": 10**6}[unit]
    first = int(pd.Timestamp(month, tz="UTC").timestamp())
    lines = []
    for hour in range(hours):
        opened, closed = (first + hour * 3600) * scale, (first + hour * 3600 + 3600) * scale - 1
        lines.append(
            f"{opened},{100 + hour}.1,{101 + hour}.5,99.25,{100 + hour}.3,7.5,{closed},750.75,12,3.5,350.1,0\n"
        )
    return (HEADER if header else "") + "".join(lines)


def zipped(*texts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, text in enumerate(texts):
            archive.writestr(f"klines{number}.csv", text)
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        answers = self.server.answers.get(self.path, [(404, b"no such key")])
        # the last answer is repeated
        code, content, *size = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(code)
        self.send_header("Content-Length", str(size[0] if size else len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, *words):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(archives, "PAUSE", 0.001)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.answers = [], {}
        running.daemon_threads = False  # closing waits for the last answer, which closes its socket
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def path_of(month=MONTH, symbol="ETHUSDT", folder="spot", interval="1h"):
    return f"/data/{folder}/monthly/klines/{symbol}/{interval}/{symbol}-{interval}-{month}.zip"


def checksum(content):
    return f"{hashlib.sha256(content).hexdigest()}  some-name.zip\n".encode()


def publish(server, content, **place):
    """Put an archive and its checksum where they belong; returns the archive's path for mishaps."""
    path = path_of(**place)
    server.answers[path] = [(200, content)]
    server.answers[f"{path}.CHECKSUM"] = [(200, checksum(content))]
    return path


def source_of(server, **changes):
    base_url = f"http://127.0.0.1:{server.server_port}"
    return {"kind": "binance", "base_url": base_url, "market": "spot", "retries": 2, "timeout": 5.0} | changes


def fetch(server, folder, month=MONTH, symbol="ETHUSDT", timeframe="1h", **changes):
    """Run the script as the rule does; returns its output."""
    output = folder / symbol / f"{month}.parquet"
    job = Job(
        output=[str(output)],
        params={"source": source_of(server, **changes), "timeframe": timeframe},
        wildcards={"market": "crypto", "symbol": symbol, "month": month},
    )
    fetch_archive.main(job)
    return output


def read(server, *files):
    files = [str(each) for each in files]
    return binance.read(
        "ETHUSDT", source_of(server), files=files, timeframe="1h", calendar="always", span=None, seed=None
    )


def metadata(file):
    return {key.decode(): value.decode() for key, value in pyarrow.parquet.read_schema(file).metadata.items()}


@pytest.mark.parametrize("unit", ["ms", "us"])
@pytest.mark.parametrize("header", [False, True])
def test_a_month_becomes_bars_whatever_its_unit_and_header(server, tmp_path, unit, header):
    content = zipped(klines(unit=unit, header=header))
    path = publish(server, content)
    file = fetch(server, tmp_path)
    bars, notes = read(server, file)
    expected = pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-03-01", periods=5, freq="h", tz="UTC", unit="us"),
            "open": [100.1, 101.1, 102.1, 103.1, 104.1],
            "high": [101.5, 102.5, 103.5, 104.5, 105.5],
            "low": 99.25,
            "close": [100.3, 101.3, 102.3, 103.3, 104.3],
            "volume": 7.5,
            "amount": 750.75,
        }
    )
    pd.testing.assert_frame_equal(bars, expected, check_exact=True)
    assert notes == {"months": 1, "absent_months": []}
    assert metadata(file) == {
        "month": MONTH,
        "url": f"http://127.0.0.1:{server.server_port}{path}",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_futures_and_other_names_of_a_timeframe_have_their_own_address(server, tmp_path):
    publish(server, zipped(klines(hours=1)), folder="futures/um", interval="1d")
    file = fetch(server, tmp_path, market="um", timeframe="24h")
    assert len(read(server, file)[0]) == 1


def test_months_are_read_in_order_and_absent_ones_are_told(server, tmp_path):
    publish(server, zipped(klines("2024-12", unit="ms")), month="2024-12")
    publish(server, zipped(klines("2025-01", unit="us", header=True)), month="2025-01")
    files = [fetch(server, tmp_path, month) for month in ("2024-11", "2024-12", "2025-01", "2025-02")]
    bars, notes = read(server, *files)
    assert notes == {"months": 2, "absent_months": ["2024-11", "2025-02"]}
    assert list(bars["timestamp"].dt.strftime("%Y-%m").value_counts(sort=False).items()) == [
        ("2024-12", 5),
        ("2025-01", 5),
    ]
    assert str(bars["timestamp"].dtype) == "datetime64[us, UTC]" and bars["timestamp"].is_monotonic_increasing


def test_an_absent_month_is_an_empty_table_with_the_reason_and_is_asked_for_once(server, tmp_path):
    publish(server, zipped(klines("2024-02")), month="2024-02")
    absent, present = fetch(server, tmp_path), fetch(server, tmp_path, "2024-02")
    assert "404" in metadata(absent)["absent"]
    assert pyarrow.parquet.read_table(absent).num_rows == 0
    assert pyarrow.parquet.read_schema(absent).equals(pyarrow.parquet.read_schema(present), check_metadata=False)
    assert server.asked.count(path_of()) == 1


def test_a_symbol_without_any_month_is_an_error_that_says_where_to_look(server, tmp_path):
    files = [fetch(server, tmp_path, month) for month in ("2024-01", "2024-02")]
    with pytest.raises(StudyError, match=r"ETHUSDT: .* none of the 2 months .*2024-01 to 2024-02.*source\.market"):
        read(server, *files)


GOOD = zipped(klines())
MISHAPS = {
    "server_error": (500, b"oops"),
    "too_many_requests": (429, b"slow down"),
    "connection_cut": (200, GOOD[:-40], len(GOOD)),
    "truncated_zip": (200, GOOD[:-40]),
}


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("suffix", ["", ".CHECKSUM"])
def test_a_passing_mishap_is_cured_by_another_try(server, tmp_path, mishap, suffix):
    path = publish(server, GOOD)
    right = server.answers[path + suffix]
    server.answers[path + suffix] = [MISHAPS[mishap], MISHAPS[mishap], *right]
    file = fetch(server, tmp_path)
    assert len(read(server, file)[0]) == 5
    assert server.asked.count(path + suffix) == 3


def test_a_wrong_checksum_that_is_corrected_does_no_harm(server, tmp_path):
    path = publish(server, GOOD)
    server.answers[f"{path}.CHECKSUM"].insert(0, (200, checksum(b"something else")))
    assert len(read(server, fetch(server, tmp_path))[0]) == 5


@pytest.mark.parametrize(
    ("suffix", "answer", "said"),
    [
        ("", (503, b""), "the server answered 503"),
        ("", MISHAPS["connection_cut"], "cut short"),
        ("", MISHAPS["truncated_zip"], "wrong checksum"),
        (".CHECKSUM", (200, checksum(b"something else")), "wrong checksum"),
        (".CHECKSUM", (200, b""), "says nothing"),
        (".CHECKSUM", (404, b""), "its .CHECKSUM is not"),
    ],
)
def test_a_lasting_mishap_is_one_clear_error_and_leaves_no_file(server, tmp_path, suffix, answer, said):
    path = publish(server, GOOD)
    server.answers[path + suffix] = [answer]
    with pytest.raises(StudyError) as error:
        fetch(server, tmp_path)
    assert path in str(error.value) and said in str(error.value)
    assert "tried 3 times" in str(error.value) and "run again" in str(error.value)
    assert server.asked.count(path) == 3
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


def test_pauses_double_up_to_a_limit(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(archives, "PAUSE", 1.0)
    monkeypatch.setattr(archives, "time", SimpleNamespace(sleep=pauses.append))
    server.answers[path_of()] = [(500, b"")]
    with pytest.raises(StudyError):
        fetch(server, tmp_path, retries=8)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_silent_server_is_given_up(server, tmp_path, monkeypatch):
    asked, release = [], threading.Event()

    def wait(handler):
        asked.append(handler.path)
        release.wait(10)

    monkeypatch.setattr(Handler, "do_GET", wait)
    try:
        with pytest.raises(StudyError, match="timed out.*; tried 2 times"):
            fetch(server, tmp_path, retries=1, timeout=0.05)
    finally:
        release.set()
    assert asked == [path_of()] * 2


def test_no_server_is_an_error_that_names_the_setting(server, tmp_path):
    with pytest.raises(StudyError, match=r"connection failed.*tried 1 time\. .*source\.base_url"):
        # port 9 of loopback (discard) has no listener
        fetch(server, tmp_path, base_url="http://127.0.0.1:9", retries=0)


def test_a_refusal_is_not_repeated(server, tmp_path):
    server.answers[path_of()] = [(403, b"")]
    with pytest.raises(StudyError, match="refuses it .403"):
        fetch(server, tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no zip at all", "no zip"),
        (zipped(klines(), klines()), "2 files instead of one"),
        (zipped(), "0 files instead of one"),
        (zipped(""), "no rows"),
        (zipped(HEADER), "no rows"),
        (zipped("1709251200000,1,2\n"), "cannot be read"),
        (zipped(klines().replace("99.25", "cheap")), "cannot be read"),
        (zipped(klines("2024-04")), "5 of its 5 rows are not of 2024-03, such as 2024-04-01"),
        (zipped(klines() + klines("2024-02", hours=1)), "1 of its 6 rows are not of 2024-03"),
        (zipped(klines().replace("1709251200000,100.1", "1709251200000000000,100.1")), "no time since the epoch"),
    ],
)
def test_a_verified_file_that_is_no_month_of_bars_is_refused_at_once(server, tmp_path, content, said):
    path = publish(server, content)
    with pytest.raises(StudyError) as error:
        fetch(server, tmp_path)
    assert path in str(error.value) and "checksum is right" in str(error.value) and said in str(error.value)
    assert server.asked.count(path) == 1


def test_what_is_too_large_for_a_month_is_not_read(server, tmp_path, monkeypatch):
    publish(server, GOOD)
    monkeypatch.setattr(archives, "LARGEST_CSV", 100)
    with pytest.raises(StudyError, match="no month of bars"):
        fetch(server, tmp_path)
    monkeypatch.setattr(archives, "LARGEST_DOWNLOAD", 50)
    with pytest.raises(StudyError, match="more than 50 bytes"):
        fetch(server, tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"timeframe": "7m"}, "no bars of 7m"), ({"base_url": "data.binance.vision"}, "must begin with https://")],
)
def test_a_mistake_in_the_config_is_named_before_anything_is_asked(server, tmp_path, changes, said):
    with pytest.raises(StudyError, match=said):
        fetch(server, tmp_path, **changes)
    assert server.asked == []


def test_two_fetches_give_the_same_bytes(server, tmp_path):
    publish(server, GOOD)
    assert fetch(server, tmp_path / "a").read_bytes() == fetch(server, tmp_path / "b").read_bytes()
