"""What every artifact of every recipe answered, in one figure: accuracy and held-out loss with 95 % intervals."""

from scripts.common.job import run
from scripts.common.results import read_json
from scripts.report import llm_sets
from scripts.report.drawing import BLUE, GREEN, MUTED, ORANGE, PAPER, bare, canvas

ACROSS = 3  # panels side by side
# colour and mark of a kind of artifact: told apart by the mark alone too
KINDS = {
    "base": (MUTED, "v", "base"),
    "trained": (BLUE, "o", "trained adapter"),
    "merged": (ORANGE, "D", "merged model"),
    "gguf": (GREEN, "s", "GGUF file"),
}
NOTES = {0.5: "control: notes say nothing", None: None}


def main(job):
    """Draw the evaluations of all recipes, which come in the order of the params."""
    found, recipes = iter(job.input.evaluations), {}
    for name, about in job.params.recipes.items():
        evaluations = {each: read_json(next(found)) for each in about["artifacts"] if about["sets"]}
        recipes[name] = (about, evaluations, llm_sets.columns(about, evaluations, job.params.planted["notes"]))
    draw(job.output[0], {name: each for name, each in recipes.items() if each[2]})


def draw(path, recipes):
    """Write the figure: a block of panels for each recipe, a row of every panel for each artifact.

    ``recipes``: ``{name: (about, evaluations, columns)}`` with what :mod:`scripts.report.llm_sets` makes of them.
    """
    rows = [
        (name, about, evaluations, columns[start : start + ACROSS], not start)
        for name, (about, evaluations, columns) in recipes.items()
        for start in range(0, len(columns), ACROSS)
    ]
    heights = [0.34 * len(evaluations) + 1.2 for _, _, evaluations, _, _ in rows] or [1]
    layout = {"rows": max(1, len(rows)), "columns": ACROSS, "height_ratios": heights}
    with canvas(path, 13, sum(heights) + 0.5, **layout) as (figure, axes):
        figure.get_layout_engine().set(hspace=0.03, wspace=0.03)
        for line, (name, about, evaluations, columns, first) in zip(axes, rows, strict=False):
            for place, column in zip(line, columns, strict=False):
                _panel(place, column, about, evaluations, named=column is columns[0])
            if first:
                _name_block(line[0], name, about)
            for place in line[len(columns) :]:
                place.set_visible(False)
        if not rows:
            axes[0, 0].text(0, 0.5, "No recipe is evaluated.", color=MUTED)
            for place in axes.flat:
                place.set_axis_off()
        _legend(figure, rows)


def _panel(axes, column, about, evaluations, named):
    loss = column.kind == "held_out"
    for place, (artifact, evaluation) in enumerate(evaluations.items()):
        if column.set in evaluation["sets"]:
            _mark(axes, place, _kind(artifact, about), llm_sets.shown(column, evaluation), loss)
    axes.set_ylim(len(evaluations) - 0.4, -0.6)
    axes.set_yticks(range(len(evaluations)), list(evaluations) if named else [])
    axes.set_title(_title(column), fontsize=11, fontweight="normal", pad=8)
    axes.grid(axis="x")
    axes.margins(x=0.06)
    axes.locator_params(axis="x", nbins=5)
    if not loss:
        _show_guess(axes, column, evaluations)
        low, high = axes.get_xlim()
        axes.set_xlim(max(-0.02, low), min(1.02, high))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    bare(axes, "left")


def _mark(axes, place, kind, found, loss):
    """One figure with its interval and its numbers; hollow where it does not rest on what the others do."""
    colour, marker, _ = KINDS[kind]
    estimate = found.estimate
    if estimate is None:
        axes.annotate("not asked", (0.5, place), (0, 0), ("axes fraction", "data"), "offset points", color=MUTED,
                      ha="center", va="center", fontsize=9)  # fmt: skip
        return
    if estimate["low"] is not None:
        axes.hlines(
            place, estimate["low"], estimate["high"], color=colour, lw=2, ls=(0, (2, 1)) if found.special else "-"
        )
    fill = {"markerfacecolor": PAPER, "markeredgecolor": colour, "mew": 1.6} if found.special else {"mew": 0.8}
    axes.plot(estimate["value"], place, marker, color=colour, markersize=7, **{"markeredgecolor": PAPER, **fill})
    text = llm_sets.interval(estimate, loss).split(" (")[0]
    axes.annotate(text, (1, place), (8, 0), ("axes fraction", "data"), "offset points", va="center", fontsize=9)


def _show_guess(axes, column, evaluations):
    guess = _guess(column, evaluations)
    if guess is not None:
        axes.axvline(guess, color=MUTED, lw=1, ls=(0, (4, 3)))


def _guess(column, evaluations):
    """What a guess reaches: half of pairs; of decisions and choices the answer that is expected most often."""
    if column.kind == "pairs":
        return 0.5
    known = [each["sets"][column.set].get("naive") for each in evaluations.values() if column.set in each["sets"]]
    naive = next((each for each in known if each), {})
    return next((naive[name]["value"] for name in ("majority", "most_frequent") if name in naive), None)


def _kind(artifact, about):
    if artifact in about["quants"]:
        return "gguf"
    return artifact if artifact in ("base", "merged") else "trained"


def _title(column):
    figure = {"held_out": "loss, nats a token", "pairs": "preference accuracy", "decisions": "right decisions"}
    said = f"{column.title}: {figure.get(column.kind, 'right answers')}"
    note = NOTES.get(column.agreement, "planted signal")
    return f"{said}\n{note}" if note else said


def _name_block(axes, name, about):
    said = f"{name}: {about['method']} on {about['base']}, corpus {about['corpus']}"
    axes.annotate(said, (0, 1), (0, 42), "axes fraction", "offset points", fontsize=12, fontweight="bold")


def _legend(figure, rows):
    from matplotlib.lines import Line2D

    used = {_kind(artifact, about) for _, about, evaluations, _, _ in rows for artifact in evaluations}
    shown = [llm_sets.shown(column, each) for _, _, found, columns, _ in rows for column in columns
             for each in found.values() if column.set in each["sets"]]  # fmt: skip
    handles = [
        Line2D([], [], color=colour, marker=marker, lw=2, label=label)
        for kind, (colour, marker, label) in KINDS.items()
        if kind in used
    ]
    if any(each.special for each in shown if each.estimate):
        hollow = {"marker": "s", "markerfacecolor": PAPER, "markeredgecolor": GREEN, "mew": 1.6, "ls": (0, (2, 1))}
        label = "hollow: fewer samples, or the first token only; not to be compared with full marks"
        handles.append(Line2D([], [], color=GREEN, lw=2, label=label, **hollow))
    if any(_guess(column, found) is not None for _, _, found, columns, _ in rows for column in columns):
        label = "dashed: a guess (50 %, or the answer that is expected most often)"
        handles.append(Line2D([], [], color=MUTED, lw=1, ls=(0, (4, 3)), label=label))
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=9.5)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
