"""How complete a market's bars are, month by month, and where something was found."""

import calendar
from itertools import groupby

from scripts.common.periods import months_between, stamp
from scripts.common.timeframes import duration
from scripts.report.drawing import BLUE, INK, MUTED, ORANGE, RED, SKY, bare, canvas

FULL, HALF = 0.85, 0.5
CLASSES = (
    ("full", BLUE, f"full: at least {FULL:.0%} of the usual bars"),
    ("partial", SKY, f"{HALF:.0%} to {FULL:.0%}"),
    ("scarce", ORANGE, f"under {HALF:.0%}"),
    ("none", "#eceff1", "no bars"),
)


def draw(path, accounts, findings, market):
    """Write the figure: a row per symbol, a cell per month, a mark where a finding begins.

    ``accounts``: the contents of the symbols' bars/*.json; ``findings``: those of quality.json.
    """
    first, last = min(each["first"] for each in accounts), max(each["last"] for each in accounts)
    months = months_between(first, stamp(last) + duration(accounts[0]["timeframe"]))
    usual = usual_bars(accounts)
    height = 0.34 if len(accounts) <= 40 else 0.2
    with canvas(path, 10, 1.5 + height * len(accounts)) as (figure, axes):
        axes = axes[0, 0]
        for row, account in enumerate(accounts):
            for name, start, length in runs(account["months"], months, usual):
                colour = next(each[1] for each in CLASSES if each[0] == name)
                axes.barh(row, length, left=start, height=0.72, color=colour, lw=0, align="center")
            kept = f"{account['rows']:,}" + (f", {account['quarantined']:,} kept out" if account["quarantined"] else "")
            axes.annotate(
                kept, (1, row), (6, 0), ("axes fraction", "data"), "offset points", va="center", fontsize=9, color=MUTED
            )
        _marks(axes, accounts, findings, months)
        axes.set_yticks(range(len(accounts)), [each["symbol"] for each in accounts], fontsize=10 if height > 0.3 else 8)
        axes.set_ylim(len(accounts) - 0.4, -0.75)
        axes.set_xlim(0, len(months))
        _year_ticks(axes, months)
        axes.set_title(f"{market}: bars per month")
        bare(axes, "left", "bottom")
        _legend(figure, findings)


def usual_bars(accounts):
    """The bars of a usual weekday: the 95th percentile over the symbols' months that are no first or last one."""
    shares = []
    for account in accounts:
        inner = list(account["months"].items())[1:-1] or account["months"].items()
        shares += [entry["rows"] / weekdays(month) for month, entry in inner]
    shares.sort()
    return shares[min(len(shares) - 1, int(0.95 * len(shares)))]


def weekdays(month):
    """The number of days from Monday to Friday in a month such as 2021-02."""
    year, number = map(int, month.split("-"))
    return sum(day.weekday() < 5 for day in calendar.Calendar().itermonthdates(year, number) if day.month == number)


def runs(known, months, usual):
    """Neighbouring months of one class: ``(class, position, length)``; ``known`` as in an account."""
    classes = [_class(known[month]["rows"] / weekdays(month) / usual if month in known else 0) for month in months]
    place = 0
    for name, group in groupby(classes):
        length = len(list(group))
        yield name, place, length
        place += length


def _class(share):
    return "none" if share == 0 else "full" if share >= FULL else "partial" if share >= HALF else "scarce"


def _marks(axes, accounts, findings, months):
    """A triangle in each month in which an error or a warning begins."""
    rows = {account["symbol"]: row for row, account in enumerate(accounts)}
    places = {month: place for place, month in enumerate(months)}
    marked = set()
    for finding in findings:
        month = (finding["start"] or "")[:7]
        if finding["symbol"] in rows and month in places and finding["severity"] != "info":
            marked.add((places[month] + 0.5, rows[finding["symbol"]], finding["severity"] == "error"))
    for x, y, error in sorted(marked):
        axes.plot(x, y - 0.37, "v", color=RED if error else INK, markersize=5, clip_on=False)


def _year_ticks(axes, months):
    years = [place for place, month in enumerate(months) if month.endswith("-01")]
    step = -(-len(years) // 14)
    if len(years) < 2:
        places = list(range(0, len(months), -(-len(months) // 8)))
        axes.set_xticks(places, [months[place] for place in places])
    else:
        axes.set_xticks(years[::step], [months[place][:4] for place in years[::step]])


def _legend(figure, findings):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=label) for _, colour, label in CLASSES]
    for severity, colour in (("error", RED), ("warning", INK)):
        if any(finding["severity"] == severity for finding in findings):
            handles.append(Line2D([], [], marker="v", color=colour, lw=0, markersize=5, label=f"{severity} begins"))
    figure.legend(handles=handles, loc="outside lower left", ncols=6, frameon=False, fontsize=9)
