"""Whether the predicted probabilities mean what they say: reliability with intervals."""

from scripts.report.drawing import BLUE, FAINT, INK, MUTED, RED, bare, canvas

PARTS = (("oof", "out-of-fold", BLUE), ("test", "hold-out", RED))


def draw(path, metrics, title):
    """Write the figure: a panel for the out-of-fold rows and one for the hold-out, the stack before its base models.

    ``metrics``: metrics.json.
    """
    parts = [each for each in PARTS if metrics[each[0]]]
    with canvas(path, 0.7 + 4.6 * len(parts), 5.9, columns=len(parts), sharex=True, sharey=True) as (figure, axes):
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        for place, (part, label, colour) in zip(axes.flat, parts, strict=True):
            _panel(place, metrics[part], metrics["models"], label, colour)
        low, high = _limits(axes[0, 0])
        for place in axes.flat:
            place.plot([low, high], [low, high], color=MUTED, lw=1, zorder=0)
            place.set(xlim=(low, high), ylim=(low, high), xlabel="mean predicted probability")
            place.set_box_aspect(1)
            place.xaxis.set_major_formatter("{x:.2f}")
            place.yaxis.set_major_formatter("{x:.2f}")
        axes[0, 0].set_ylabel("share that came true, 95 % interval")


def _panel(axes, part, models, label, colour):
    for name in models:
        bins = part["scores"][name]["calibration"]
        if bins:
            points = [(each["mean_p"], each["share"]) for each in bins]
            axes.plot(*zip(*points, strict=True), color="#9aa4ae", lw=1, alpha=0.7)
    score = part["scores"]["stack"]
    axes.set_title(f"{label}, {part['rows']:,} rows", fontsize=11, pad=24)
    axes.grid(color=FAINT)
    bare(axes)
    if not score["calibration"]:
        return
    for each in score["calibration"]:
        axes.vlines(each["mean_p"], each["low"], each["high"], color=colour, lw=2)
    points = [(each["mean_p"], each["share"]) for each in score["calibration"]]
    axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=6.5, markeredgecolor="white")
    figures = f"stack: calibration error {score['calibration_error']:.3f}, Brier {score['brier']:.4f}"
    axes.annotate(figures, (0, 1), (0, 6), "axes fraction", "offset points", fontsize=10, color=INK)
    others = "grey: the base models" if len(models) > 1 else "grey: the base model"
    axes.text(0.97, 0.03, others, transform=axes.transAxes, ha="right", fontsize=9.5, color=MUTED)


def _limits(axes):
    """One range for both axes that holds everything drawn and 0.5."""
    ends = [*axes.get_xlim(), *axes.get_ylim(), 0.45, 0.55]
    return max(0.0, min(ends)), min(1.0, max(ends))
