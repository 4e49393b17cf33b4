"""Draw the rule graph: `snakemake --rulegraph mermaid-js | python -m scripts.report.draw_rulegraph README.md out.svg`.

Rules below a checkpoint are in Snakemake's graph only once it has been built: run the study first.
"""

import argparse
import sys
from pathlib import Path

from scripts.common.atomic import write_text
from scripts.common.errors import StudyError
from scripts.report import rulegraph, rulegraph_figure

SCRIPTS = Path(__file__).resolve().parents[1]


def draw(text, page, figure, scripts=SCRIPTS):
    """Put the graph in ``text`` into the Markdown file ``page`` and the SVG ``figure``; returns its number of rules."""
    rules, edges = rulegraph.parse(text)
    edges = rulegraph.reduced(edges)
    rank = rulegraph.ranks(rules, edges)
    by_stage = rulegraph.in_order(rulegraph.stages(rules, scripts), rank)
    graph = rulegraph.mermaid(by_stage, edges)
    write_text(page, rulegraph.between_markers(Path(page).read_text(encoding="utf-8"), graph))
    write_text(figure, rulegraph_figure.svg(by_stage, edges, rank))
    return len(rules)


def command_line(arguments=None):
    """The exit code: 0, or 1 with a message where there is no graph or no place for it."""
    parser = argparse.ArgumentParser(prog="draw_rulegraph", description="The rule graph by stage, from stdin.")
    parser.add_argument("page", help=f"Markdown file with the lines '{rulegraph.BEGIN}' and '{rulegraph.END}'")
    parser.add_argument("figure", help="SVG file to write")
    options = parser.parse_args(arguments)
    try:
        count = draw(sys.stdin.read(), options.page, options.figure)
    except (StudyError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{count} rules in {options.page} and {options.figure}")
    return 0


if __name__ == "__main__":
    sys.exit(command_line())
