"""How alike the base models' out-of-fold predictions are, as a matrix."""

from scripts.report.drawing import FAINT, INK, MUTED, bare, canvas


def draw(path, diversity, title):
    """Write the figure from the body of diversity.json: rank correlations, redundant pairs framed."""
    names = diversity["models"]
    values = [[diversity["spearman"][row][column] for column in names] for row in names]
    side = max(2.6, 0.8 * len(names)) if len(names) <= 12 else 10
    longest = max(len(name) for name in names)
    size = (max(6.8, side + 1.3 + 0.085 * longest), side + 1.4)
    with canvas(path, *size) as (figure, axes):
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        _matrix(axes[0, 0], names, values)
        _frames(axes[0, 0], names, diversity["redundant"])
        axes[0, 0].set_xlabel(remark(diversity), color=MUTED, fontsize=9.5, loc="left")


def remark(diversity):
    """What the threshold said, in words."""
    count, limit = len(diversity["redundant"]), diversity["max_correlation"]
    lines = [f"{diversity['rows']:,} out-of-fold rows"]
    if not count:
        lines.append(f"no pair exceeds {limit}")
    else:
        lines.append(f"{count} pair{'s' * (count > 1)} above {limit} (framed)")
    lines += [f"{each['model']} left out: like {each['because_of']}" for each in diversity["pruned"]]
    lines += [f"advice: leave {each['model']} out, like {each['because_of']}" for each in diversity["advice"]]
    return "\n".join(lines)


def _matrix(axes, names, values):
    """The lower triangle; the other half would say the same."""
    import numpy as np
    from matplotlib.patches import Rectangle

    table = np.array([[np.nan if value is None else value for value in row] for row in values], dtype=float)
    table[np.triu_indices(len(names))] = np.nan
    axes.imshow(table, cmap="RdBu", vmin=-1.9, vmax=1.9, aspect="equal")
    for row in range(len(names)):
        axes.add_patch(Rectangle((row - 0.5, row - 0.5), 1, 1, facecolor=FAINT, lw=0))
        for column in range(row if len(names) <= 12 else 0):
            value = values[row][column]
            text = "constant" if value is None else f"{value:.3f}"
            axes.text(column, row, text, ha="center", va="center", color=INK, fontsize=10.5)
    slanted = {"rotation": 30, "ha": "right"} if len(names) > 4 else {}
    axes.set_xticks(range(len(names)), names, **slanted)
    axes.set_yticks(range(len(names)), names)
    bare(axes, "left", "bottom")


def _frames(axes, names, redundant):
    from matplotlib.patches import Rectangle

    for pair in redundant:
        row, column = sorted((names.index(name) for name in pair["models"]), reverse=True)
        axes.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=INK, lw=2))
