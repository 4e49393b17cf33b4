"""Plain HTML pages of headings, paragraphs and tables: one file each, no scripts, nothing loaded from elsewhere."""

from html import escape

CSS = """
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif; color: #1b1f24;
  background: #fff; margin: 1.5rem 2rem 3rem; }
h1 { font-size: 1.5rem; margin: 0 0 .4rem; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem; }
p { max-width: 52rem; margin: .4rem 0; } ul { max-width: 52rem; margin: .4rem 0; padding-left: 1.3rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .5rem 0; font-size: .9rem; }
th { text-align: left; vertical-align: bottom; font-weight: 600; max-width: 8rem; border-bottom: 2px solid #57606a; }
td { vertical-align: top; border-bottom: 1px solid #d7dce1; } th, td { padding: .3rem .9rem .3rem 0; }
tr.total td { font-weight: 600; border-top: 2px solid #57606a; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.number { white-space: normal; } .name { white-space: nowrap; }
.quiet { color: #57606a; font-size: .85rem; max-width: 34rem; }
.good, .bad, .skip, .met, .failed { white-space: nowrap; } .good, .bad, .skip, .failed { font-weight: 600; }
.good, .met { color: #00684c; } .bad, .failed { color: #a34500; } .skip { color: #57606a; }
"""


class Html(str):
    """Text that is HTML already and is not escaped again."""

    def __html__(self):
        return self


def text(value):
    """``value`` as HTML: escaped unless it is :class:`Html`; None is an en dash."""
    if isinstance(value, Html):
        return value
    return Html("–" if value is None else escape(str(value)))


def span(value, style):
    """``value`` in one of the styles: good, bad, skip (verdicts), met, failed (rules), quiet, name."""
    return Html(f'<span class="{style}">{text(value)}</span>')


def lines(*values):
    """Several values, each on a line of its own."""
    return Html("<br>".join(text(value) for value in values if value not in (None, "")))


def moment(stamp):
    """An ISO stamp as people read it: 2021-02-20 00:00."""
    return None if stamp is None else Html(f'<span class="name">{stamp[:16].replace("T", " ")}</span>')


def table(head, rows, numbers=(), total=False):
    """A table; ``numbers`` are the positions of columns to align right; ``total``: the last row is a sum.

    The last cell of a row that is too short spans the columns that are left.
    """

    def row(tag, values):
        cells = []
        for place, value in enumerate(values):
            style = " class=number" if place in numbers else ""
            if place == len(values) - 1 < len(head) - 1:
                style = f" colspan={len(head) - place}"
            cells.append(f"<{tag}{style}>{text(value)}</{tag}>")
        return "".join(cells)

    body = [f"<tr>{row('td', each)}</tr>" for each in rows]
    if total and body:
        body[-1] = body[-1].replace("<tr>", "<tr class=total>", 1)
    inside = f"<thead><tr>{row('th', head)}</tr></thead><tbody>{''.join(body)}</tbody>"
    return Html(f"<div class=wide><table>{inside}</table></div>")


def heading(value):
    """A heading of a section."""
    return Html(f"<h2>{text(value)}</h2>")


def paragraph(value):
    """A paragraph."""
    return Html(f"<p>{text(value)}</p>")


def items(values):
    """A list of points."""
    return Html("<ul>" + "".join(f"<li>{text(value)}</li>" for value in values) + "</ul>")


def page(title, *parts):
    """A whole page as text."""
    head = f'<meta charset="utf-8"><title>{text(title)}</title><style>{CSS}</style>'
    body = "\n".join([f"<h1>{text(title)}</h1>", *parts])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
