"""The walk-forward folds of a stack on a time axis, with what is purged and what is held out."""

from datetime import datetime

from scripts.report.drawing import BLUE, INK, MUTED, ORANGE, RED, SKY, bare, canvas

SHOWN = 4  # folds at either end when there are too many for a row each
COLOURS = {"train": SKY, "validation": ORANGE, "test": BLUE, "hold-out": RED}


def draw(path, plan, settings, horizon, title):
    """Write the figure: above, folds in time; below, the anatomy of one fold in bars.

    ``plan``: folds.json; ``settings``: the config's ``folds``; ``horizon``: bars between a row and the end of its
    label, which is how many bars are purged at the end of a window.
    """
    rows = chosen(plan["folds"])
    with canvas(path, 10, 1.9 + 0.3 * len(rows), rows=2, height_ratios=[0.3 * len(rows) + 0.3, 0.75]) as (figure, axes):
        _folds(axes[0, 0], rows, plan)
        axes[0, 0].set_title(title)
        _anatomy(axes[1, 0], settings, horizon)


def chosen(folds):
    """The folds to draw: all, or the first and last few with the list of those between as one row."""
    if len(folds) <= 3 * SHOWN:
        return folds
    return [*folds[:SHOWN], folds[SHOWN:-SHOWN], *folds[-SHOWN:]]


def _folds(axes, rows, plan):
    """One row per fold from top to bottom, the folds between the ends as a band, the hold-out across all."""
    for place, row in enumerate(rows):
        if isinstance(row, list):
            _band(axes, place, row)
            continue
        for window in ("train", "validation", "test"):
            if row[window]:
                _bar(axes, place, *row[window], COLOURS[window])
    labels = [f"{row[0]['fold']} to {row[-1]['fold']}" if isinstance(row, list) else row["fold"] for row in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.4, -0.9)
    axes.set_ylabel("fold")
    if plan["holdout"]:
        start, end = (_moment(plan["holdout"][side]) for side in ("start", "end"))
        axes.axvspan(start, end, color=RED, alpha=0.14, lw=0)
        middle = start + (end - start) / 2
        text = f"hold-out\nfrom {start:%Y-%m-%d}\nread once,\nby the gate"
        axes.text(middle, (len(rows) - 1) / 2, text, ha="center", va="center", color="#8f3b00", fontsize=10)
    else:
        axes.annotate(
            "no hold-out", (1, 1), (0, 4), "axes fraction", "offset points", ha="right", color=MUTED, fontsize=10
        )
    axes.grid(axis="x")
    bare(axes, "left")


def _bar(axes, place, start, end, colour, height=0.62, **options):
    start, end = _moment(start), _moment(end)
    axes.barh(place, end - start, left=start, height=height, color=colour, lw=0, **options)


def _band(axes, place, folds):
    """Hundreds of folds as one: what any of them trains on, and the test windows side by side."""
    start = min(fold["train"][0] for fold in folds)
    _bar(axes, place, start, folds[-1]["train"][1], COLOURS["train"], height=0.5, alpha=0.45)
    _bar(axes, place, folds[0]["test"][0], folds[-1]["test"][1], COLOURS["test"], height=0.5)
    middle = _moment(start) + (_moment(folds[-1]["test"][1]) - _moment(start)) / 2
    axes.text(
        middle,
        place + 0.02,
        f"{len(folds):,} folds between",
        ha="center",
        va="center",
        fontsize=10,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9},
    )


def _anatomy(axes, settings, horizon):
    """One fold, not to scale: the windows with their lengths, and the purged tails."""
    validation = settings["validation"]
    parts = [("train", settings["train"] - validation, 5.0), ("purged", horizon, 0.55)]
    if validation:
        parts += [("validation", validation, 2.0), ("purged", horizon, 0.55)]
    parts.append(("test", settings["test"], 2.0))
    left = 0.0
    for name, bars, width in parts:
        purged = name == "purged"
        style = {"facecolor": "white", "edgecolor": MUTED, "hatch": "////"} if purged else {"color": COLOURS[name]}
        axes.barh(0, width, left=left, height=0.5, lw=0.8 if purged else 0, **style)
        if purged:
            axes.text(left + width / 2, 0.42, f"≤ {bars:,} purged", ha="center", va="top", fontsize=9.5, color=INK)
        else:
            colour = "white" if name == "test" else INK
            axes.text(left + width / 2, 0, f"{name} {bars:,} bars", ha="center", va="center", color=colour)
        left += width
    window = "the train window rolls" if settings["window"] == "rolling" else "the train window grows"
    text = f"one fold, not to scale; the next one is {settings['step']:,} bars later, {window}"
    axes.text(0, -0.42, text, fontsize=10, color=MUTED, va="bottom")
    axes.set_xlim(-0.05, left + 0.05)
    axes.set_ylim(0.75, -0.75)
    axes.set_axis_off()


def _moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=None)
