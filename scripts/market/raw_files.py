"""Tables as people find them: csv or parquet, plain or gz, with banners, without headers, or not tables at all."""

import csv
import difflib
import gzip
import io
import tarfile
from pathlib import Path

from scripts.common.errors import StudyError

SEPARATORS = (",", ";", "\t", "|")


def load(path, columns, header=True, skip_rows=0):
    """The wanted columns of a csv or parquet file: a DataFrame that has the keys of ``columns`` as columns.

    ``columns`` maps a name of ours to a name in the file (its case may differ if that leaves one candidate) or to a
    position from 0. Values are as read: numbers where a whole column is numeric, else text. What kind of file it is
    is read off its content. Raises StudyError that names what the file is instead, or which columns it lacks and
    which one comes nearest.
    """
    path = Path(path)
    content = path.read_bytes()
    _refuse_other_kinds(path, content)
    if content[:2] == b"\x1f\x8b":
        content = _unzip(path, content)
        _refuse_other_kinds(path, content)
    if content[:4] == b"PAR1":
        return _from_parquet(path, content, columns)
    return _from_csv(path, _decode(content), columns, header, skip_rows)


def _refuse_other_kinds(path, content):
    """Raise StudyError for what is no table, saying what it is."""
    if not content.strip():
        raise StudyError(f"{path}: the file is empty ({len(content)} bytes). Fetch it again or remove the symbol")
    if content.startswith(b"version https://git-lfs"):
        raise StudyError(
            f"{path}: this is a Git LFS pointer, not the data. Run `git lfs pull` where it comes from, or download it"
        )
    if content[:4] == b"PK\x03\x04":
        raise StudyError(f"{path}: this is a zip archive. Unpack it; csv and parquet, plain or gz, are read")
    if content[257:262] == b"ustar":
        raise StudyError(
            f"{path}: this is a tar archive ({_members(content)}). Unpack it; csv and parquet, plain or gz, are read"
        )
    if content.lstrip()[:14].lower().startswith((b"<!doctype", b"<html")):
        raise StudyError(f"{path}: this is a web page, not a table; the download went wrong. Fetch the file again")


def _members(content):
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [f"{each.name}: {each.size} bytes" if each.size else f"{each.name}: empty" for each in archive]
    return ", ".join(members[:5]) + (", ..." if len(members) > 5 else "")


def _unzip(path, content):
    try:
        return gzip.decompress(content)
    except (EOFError, OSError) as error:
        raise StudyError(f"{path}: the gz file is damaged or cut short ({error}). Fetch it again") from None


def _decode(content):
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _from_parquet(path, content, columns):
    import pandas as pd

    try:
        table = pd.read_parquet(io.BytesIO(content))
    except Exception as error:  # pyarrow's errors have no base of their own
        raise StudyError(f"{path}: the parquet file cannot be read ({error}). Fetch it again") from None
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    places = _places(path, columns, [str(name) for name in table.columns])
    return pd.DataFrame({name: table.iloc[:, place] for name, place in places.items()})


def _from_csv(path, text, columns, header, skip_rows):
    import pandas as pd

    lines = text.split("\n", skip_rows + 6)
    if len(lines) <= skip_rows:
        raise StudyError(f"{path}: skip_rows is {skip_rows}, but the file has {len(lines)} lines")
    top = lines[skip_rows].rstrip("\r")
    separator = max(SEPARATORS, key=top.count)
    names = [name.strip().strip('"') for name in top.split(separator)]
    if header:
        places = _places(path, columns, names, lines[skip_rows + 1 :])
    else:
        places = _positions(path, columns, names)
    _refuse_wide_rows(path, text, separator, len(names), skip_rows)
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            skiprows=skip_rows + (1 if header else 0),
            header=None,
            names=range(len(names)),
            index_col=False,
            usecols=sorted(set(places.values())),
            dtype={places["timestamp"]: str},
            skipinitialspace=True,
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise StudyError(
            f"{path}: the csv cannot be read ({str(error).strip()}). Repair or remove these lines"
        ) from None
    return pd.DataFrame({name: table[place] for name, place in places.items()})


def _refuse_wide_rows(path, text, separator, width, skip_rows):
    """Raise StudyError for a row with more fields than the header, which the parser would cut off without a word."""
    for number, line in enumerate(io.StringIO(text), start=1):
        if line.count(separator) < width or number <= skip_rows:
            continue
        fields = next(csv.reader([line.rstrip("\r\n")], delimiter=separator, skipinitialspace=True))
        if any(fields[width:]):
            raise StudyError(
                f"{path}: line {number} has {len(fields)} fields, the first one has {width}: {line.strip()[:120]}\n"
                "Repair the line; if all are like this, the decimal comma is the reason: write points"
            )


def _places(path, columns, names, below=()):
    """The position of each wanted column; StudyError with the nearest names where one is missing."""
    places, missing = {}, []
    for role, wanted in columns.items():
        if isinstance(wanted, int):
            same = [wanted] if 0 <= wanted < len(names) else []
        else:
            same = [place for place, name in enumerate(names) if name == wanted] or [
                place for place, name in enumerate(names) if name.casefold() == wanted.casefold()
            ]
        if len(same) == 1:
            places[role] = same[0]
        else:
            missing.append(f"{role}: there is no column {wanted!r}{_nearest(wanted, role, names)}")
    if missing:
        missing = "\n  ".join(missing)
        raise StudyError(
            f"{path} has the columns {', '.join(names[:20])}.\n  {missing}\n{_remedy(columns, names, below, missing)}"
        )
    return places


def _remedy(columns, names, below, missing):
    """What to write in the config, judged by the lines around."""
    wanted = {str(name).casefold() for name in columns.values()}
    for count, line in enumerate(below, start=1):
        if sum(name in line.casefold() for name in wanted) >= max(2, len(wanted) // 2):
            return f"The header seems to be line {count + 1} of these: add {count} to source.skip_rows"
    if sum(name.replace(".", "").isdigit() for name in names) >= 4:
        return "The first row holds numbers: set source.header: false and give source.columns as positions from 0"
    return "Name them under source.columns" + (" (volume: null if there is none)" if "volume: " in missing else "")


def _nearest(wanted, role, names):
    """A hint at the column that was probably meant."""
    if isinstance(wanted, int):
        return f" (positions are 0 to {len(names) - 1})"
    aliases = {"timestamp": ["date", "time", "datetime", "unix", "open_time"], "volume": ["tick_volume", "vol"]}
    folded = {name.casefold(): name for name in reversed(names)}
    for guess in (wanted, *aliases.get(role, [])):
        close = difflib.get_close_matches(guess.casefold(), folded, 1, 0.6)
        close = close or [name for name in folded if guess.casefold() in name]
        if close:
            return f"; did you mean {folded[close[0]]!r}?"
    return ""


def _positions(path, columns, first_row):
    """The positions of the columns of a file without a header."""
    for role, place in columns.items():
        if not isinstance(place, int):
            raise StudyError(
                f"{path}: with header: false the columns are positions from 0, but {role} is {place!r}. "
                f"The first row is: {', '.join(first_row[:12])}"
            )
        if not 0 <= place < len(first_row):
            raise StudyError(
                f"{path}: {role} is column {place}, but the file has {len(first_row)} (0 to {len(first_row) - 1}); "
                f"the first row is: {', '.join(first_row[:12])}"
            )
    return dict(columns)
