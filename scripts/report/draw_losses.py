"""The course of a recipe's trainings, stage by stage: loss, validation loss, gradient norm, and what was found."""

import numpy as np

from scripts.common.job import run
from scripts.common.results import read_json
from scripts.common.training import metrics
from scripts.report.drawing import BLUE, INK, MUTED, ORANGE, PAPER, PURPLE, RED, bare, canvas

FAINT_BLUE = "#9cc4e4"
FINDINGS = {
    "spike": ("spike of the gradient norm", "v", ORANGE),
    "plateau": ("plateau", "s", MUTED),
    "overfitting": ("learning by heart", "D", PURPLE),
    "non_finite": ("number that is not finite", "X", RED),
    "diverged": ("divergence", "X", INK),
}
FEW = 20  # validations that are marked one by one
MOST = 1500  # points of a line, about: more cannot be seen and make a large file
UNITS = {"dpo": "loss on preferences, nats", "grpo": "loss of the policy gradient"}
UNIT = "loss, nats a token"


def main(job):
    """Draw the metrics of all stages of one recipe, which come in the order of the params."""
    stages = {
        name: (metrics.read(path), read_json(summary)["health"]["findings"])
        for name, path, summary in zip(job.params.stages, job.input.metrics, job.input.summaries, strict=True)
    }
    draw(job.output[0], stages, f"{job.wildcards.recipe}: course of the trainings")


def draw(path, stages, title):
    """Write the figure: a column for each stage, the loss (or reward) above the gradient norm.

    ``stages``: ``{name: (records of metrics.jsonl, findings of training.json)}`` in the order of training.
    """
    width = max(6.5, 1.2 + 3.1 * len(stages))
    layout = {"rows": 2, "columns": len(stages), "sharex": "col", "height_ratios": (2, 1)}
    with canvas(path, width, 6.2, **layout) as (figure, axes):
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        figure.get_layout_engine().set(wspace=0.06)
        units = [None]
        for (upper, lower), (name, (records, findings)) in zip(axes.T, stages.items(), strict=True):
            units.append(_stage(upper, lower, name, records, findings))
            upper.set_ylabel("" if units[-1] == units[-2] else units[-1])
        _share_height([upper for upper, name in zip(axes[0], stages, strict=True) if name.startswith("sft-")])
        _share_height(list(axes[1]))
        for lower in axes[1]:
            _label_norms(lower)
        axes[1, 0].set_ylabel("gradient norm")
        _legend(figure, stages)


def _stage(upper, lower, name, records, findings):
    """Draw one stage; what its upper panel shows, in words."""
    steps = [each for each in records if "loss" in each]
    figure = "reward" if name == "grpo" and any("reward" in each for each in steps) else "loss"
    _course(upper, steps, figure)
    _course(lower, steps, "gradient_norm", logarithmic=True)
    held = [(each["step"], each["validation_loss"]) for each in records if each.get("validation_loss") is not None]
    if held:
        edges = {"markersize": 6, "markeredgecolor": PAPER} if len(held) <= FEW else {"markersize": 2}
        upper.plot(*zip(*held, strict=True), "-D", color=RED, lw=1.2, zorder=4, **edges)
    upper.set_title(f"{name}, {len(steps):,} steps", fontsize=11, fontweight="normal")
    norms = [each["gradient_norm"] for each in steps if each.get("gradient_norm")]
    if norms:
        lower.set_yscale("log")
        lower.set_ylim(min(norms) / 1.3, max(norms) * 1.5)
    lower.set_xlabel("step")
    lower.set_xlim(0, max([each["step"] for each in steps], default=1) * 1.02 + 1)
    for axes in (upper, lower):
        axes.grid(axis="y")
        bare(axes)
        for each in findings:
            _found(axes, each)
    return "mean reward" if figure == "reward" else UNITS.get(name, UNIT)


def _course(axes, steps, figure, logarithmic=False):
    """The raw line, faint, and a smoothed one over it; numbers that are not finite are gaps."""
    known = [each for each in steps if figure in each]
    if not known:
        return
    x = np.array([each["step"] for each in known])
    y = np.array([np.nan if each[figure] is None else each[figure] for each in known], dtype=float)
    kept = extremes(y)
    axes.plot(x[kept], y[kept], color=FAINT_BLUE, lw=0.9)
    # one spike must not lift a whole window
    mean = np.exp(smoothed(np.log(np.where(y > 0, y, np.nan)))) if logarithmic else smoothed(y)
    axes.plot(x[kept], mean[kept], color=BLUE, lw=2)


def extremes(values, most=MOST):
    """The places of ``values`` ``[n]`` to draw, about ``most``: of each run the smallest and largest, so that no spike
    is lost; all of a shorter line. A run in which something is not finite keeps that, as a gap."""
    if len(values) <= most:
        return np.arange(len(values))
    kept = {0, len(values) - 1}
    for places in np.array_split(np.arange(len(values)), most // 2):
        own = values[places]
        broken = places[~np.isfinite(own)]
        kept |= {*broken[:1].tolist()}
        if len(broken) < len(places):
            kept |= {int(places[np.nanargmin(own)]), int(places[np.nanargmax(own)])}
    return np.array(sorted(kept))


def smoothed(values):
    """The running mean of ``values`` ``[n]`` over a 15th of them (3 at least), shorter at the ends; NaN is left out."""
    half = max(1, len(values) // 30)
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    there = counts[last] - counts[first]
    return np.where(there > 0, (sums[last] - sums[first]) / np.maximum(there, 1), np.nan)


def _found(axes, finding):
    if finding["step"] is None:
        return
    _, marker, colour = FINDINGS.get(finding["class"], (finding["class"], "X", INK))
    axes.axvline(finding["step"], color=colour, lw=0.9, ls=(0, (2, 2)), zorder=0)
    axes.plot(
        finding["step"],
        1,
        marker,
        color=colour,
        markersize=7,
        markeredgecolor=PAPER,
        mew=0.8,
        clip_on=False,
        transform=axes.get_xaxis_transform(),
    )


def _share_height(several):
    """One range for all, so that heights can be compared."""
    ends = [end for axes in several for end in axes.get_ylim()]
    for axes in several:
        axes.set_ylim(min(ends), max(ends))


def _label_norms(axes):
    from matplotlib.ticker import LogLocator, NullLocator

    if axes.get_yscale() != "log":
        return
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 30 else (1,)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def _legend(figure, stages):
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=FAINT_BLUE, lw=0.9, label="step by step"),
               Line2D([], [], color=BLUE, lw=2, label="running mean (of norms: geometric)")]  # fmt: skip
    if any(each.get("validation_loss") is not None for records, _ in stages.values() for each in records):
        handles.append(Line2D([], [], color=RED, marker="D", lw=1.2, markeredgecolor=PAPER, label="validation loss"))
    counts = {}
    for _, findings in stages.values():
        for each in findings:
            counts[each["class"]] = counts.get(each["class"], 0) + 1
    for kind, number in sorted(counts.items()):
        label, marker, colour = FINDINGS.get(kind, (kind, "X", INK))
        handles.append(Line2D([], [], color=colour, marker=marker, lw=0.9, ls=(0, (2, 2)), label=f"{label}: {number}"))
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=9.5)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
