"""One look for all figures: quiet, legible, safe for colour-blind readers, the same bytes on every run."""

import contextlib

from scripts.common.atomic import replacing

# Okabe and Ito's colours (2008), told apart by readers with any common colour vision deficiency.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
INK, MUTED, FAINT, PAPER = "#1b1f24", "#57606a", "#d7dce1", "#ffffff"

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.8,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    # text stays text: it can be searched, selected and read aloud
    "svg.fonttype": "none",
    "svg.hashsalt": "quantmake",
    "timezone": "UTC",
}


@contextlib.contextmanager
def canvas(path, width, height, rows=1, columns=1, **layout):
    """Yield (figure, array ``[rows, columns]`` of axes); the figure is written to ``path`` as SVG at the end.

    ``width`` and ``height`` are in inches; ``layout`` goes to ``matplotlib.pyplot.subplots``.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    # a reader's own matplotlibrc changes nothing
    with pyplot.style.context("default"), matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(
            rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **layout
        )
        try:
            yield figure, axes
            with replacing(path) as temporary:
                figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": "quantmake"})
        finally:
            pyplot.close(figure)


def bare(axes, *spines):
    """Take the tick marks and the named spines away."""
    axes.tick_params(length=0)
    for spine in spines:
        axes.spines[spine].set_visible(False)
