"""Which features the folds of each base model split on."""

from scripts.report.drawing import BLUE, INK, bare, canvas

SHOWN = 20


def draw(path, table, title):
    """Write the figure: per model the features with the greatest share of the gain, with the spread over folds.

    ``table``: importance.parquet, columns ``model feature gain_share_mean gain_share_sd folds``.
    """
    models = list(dict.fromkeys(table["model"]))
    columns = min(len(models), 3)
    rows = -(-len(models) // columns)
    most = min(SHOWN, int(table.groupby("model").size().max()))
    size = (3.9 * columns, 0.9 + rows * (0.9 + 0.235 * most))
    with canvas(path, *size, rows=rows, columns=columns, sharex=True) as (figure, axes):
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        for place, model in zip(axes.flat, models, strict=False):
            own = table[table["model"] == model].nlargest(SHOWN, "gain_share_mean")
            _panel(place, model, own, most)
        axes[0, 0].set_xlim(left=0)  # of all panels, after all are drawn
        for place in axes.flat[len(models) :]:
            place.set_axis_off()


def _panel(axes, model, own, most):
    """One model: a bar per feature, a line for plus and minus one standard deviation between folds."""
    places = range(len(own))
    share, spread = 100 * own["gain_share_mean"].to_numpy(), 100 * own["gain_share_sd"].to_numpy()
    axes.barh(places, share, height=0.66, color=BLUE, alpha=0.55, lw=0)
    low = (share - spread).clip(min=0)
    axes.hlines(places, low, share + spread, color=INK, lw=1.1)
    axes.set_yticks(places, own["feature"], fontsize=9.5)
    axes.set_ylim(most - 0.4, -0.6)
    axes.set_title(model, fontsize=11)
    axes.set_xlabel("share of gain, % (± sd)", fontsize=10)
    axes.tick_params(labelbottom=True)
    axes.grid(axis="x")
    bare(axes, "left")
