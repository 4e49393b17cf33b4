"""The pooled AUC of a stack and its base models, beside what noise reaches."""

from scripts.report.drawing import BLUE, INK, MUTED, ORANGE, PAPER, RED, bare, canvas

PARTS = (("oof", "out-of-fold", BLUE, "o"), ("test", "hold-out", RED, "D"))
LINE = 0.29  # between the marks of one model
HOLLOW = "chose the rounds; not a result"


def draw(path, metrics, limits, title):
    """Write the figure: a row per model, the stack first.

    ``metrics``: metrics.json, whose base models are scored on the stack's own rows;
    ``limits``: ``{"min_auc", "max_auc"}`` of the gate, None where there is none.
    """
    names = ["stack", *metrics["models"]]
    with canvas(path, 10, 2.3 + 0.72 * len(names)) as (figure, axes):
        axes = axes[0, 0]
        for place, name in enumerate(names):
            _row(axes, place, name, metrics)
        axes.set_yticks(range(len(names)), names)
        axes.get_yticklabels()[0].set_fontweight("bold")
        axes.set_ylim(len(names) - 0.3, -0.75)
        _reference_lines(axes, limits)
        axes.set_title(title, pad=22)
        axes.set_xlabel("pooled AUC, with 95 % interval at the effective number of rows")
        axes.grid(axis="x")
        bare(axes, "left")
        _legend(figure, axes, metrics)


def _row(axes, place, name, metrics):
    chose = metrics["early_stopping"]["models"].get(name)
    chosen = chose is not None and chose["mean"] is not None
    parts = [each for each in PARTS if metrics[each[0]]]
    line = place - LINE * (len(parts) - 1 + chosen) / 2
    for part, _, colour, marker in parts:
        score = metrics[part]["scores"][name]
        if score["auc"] is not None:
            _score(axes, line, score, colour, marker)
        line += LINE
    if chosen:
        axes.plot(chose["mean"], line, "o", markersize=7, markerfacecolor=PAPER, markeredgecolor=ORANGE, mew=1.6)


def _score(axes, place, score, colour, marker):
    """One AUC with its interval and figures, on the band of what the labels' circular shifts reach."""
    noise = score["noise"]
    if noise["shifts"]:
        axes.barh(place, noise["null_high"] - 0.5, left=0.5, height=0.22, color="#b9c0c7", lw=0)
    axes.hlines(place, score["low"], score["high"], color=colour, lw=2)
    axes.plot(score["auc"], place, marker, color=colour, markersize=7, markeredgecolor=PAPER, mew=0.8)
    text = f"{score['auc']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
    axes.annotate(
        text, (1, place), (8, 0), ("axes fraction", "data"), "offset points", va="center", fontsize=10, color=colour
    )


def _reference_lines(axes, limits):
    axes.axvline(0.5, color=MUTED, lw=1)
    low, high = axes.get_xlim()
    axes.set_xlim(low - 0.02 * (high - low))
    for name, text in (("min_auc", "gate: at least"), ("max_auc", "gate: at most")):
        limit = limits.get(name)
        if limit and low - 0.06 < limit < high + 0.06:
            axes.axvline(limit, color=INK, lw=1, ls=(0, (4, 3)))
            axes.annotate(
                f"{text} {limit:g}",
                (limit, 1),
                (0, 4),
                ("data", "axes fraction"),
                "offset points",
                ha="center",
                fontsize=9.5,
            )


def _legend(figure, axes, metrics):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = []
    for part, label, colour, marker in PARTS:
        if metrics[part]:
            rows = f"{metrics[part]['rows']:,} rows, {metrics[part]['effective_rows']:,.0f} effective"
            handles.append(Line2D([], [], color=colour, marker=marker, lw=2, label=f"{label}: {rows}"))
    handles.append(Patch(color="#b9c0c7", label="noise: 99.9 % of the labels' circular shifts stay below its end"))
    if any(each["mean"] is not None for each in metrics["early_stopping"]["models"].values()):
        hollow = {"marker": "o", "markerfacecolor": PAPER, "markeredgecolor": ORANGE, "mew": 1.6, "lw": 0}
        handles.append(Line2D([], [], **hollow, label=f"early-stopping AUC, mean of folds: {HOLLOW}"))
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9.5)
