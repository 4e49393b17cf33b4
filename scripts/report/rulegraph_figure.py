"""The rule graph as SVG without graphviz: a lane per stage, ranks from top to bottom, few crossings.

Layers as Sugiyama, Tagawa and Toda (1981): an edge over several ranks passes a dummy in each of them, the order within
a rank follows the mean place of the neighbours above and below, and so do the places themselves.
"""

from html import escape

from scripts.report.drawing import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, RED, SKY

BOX, DUMMY, HEIGHT, GAP, STEP, MARGIN = 138, 6, 28, 12, 62, 16
COLOURS = (SKY, ORANGE, GREEN, PURPLE, BLUE, RED)
SWEEPS = 12


def svg(by_stage, edges, rank):
    """The figure as text. ``by_stage``: ``{stage: [rules]}``, left to right; ``rank``: ``{rule: row}``."""
    lanes, ways = _layers(by_stage, edges, rank)
    neighbours = _neighbours(ways)
    _untangle(lanes, neighbours)
    place, borders, width = _places(lanes)
    _straighten(lanes, neighbours, place, borders)
    height = (max(rank.values()) + 1) * STEP + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="\'DejaVu Sans\', Verdana, Arial, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (stage, (left, right)) in enumerate(zip(by_stage, borders, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(
            f'<rect x="{left}" y="6" width="{right - left}" height="{height - 12}" rx="8" fill="{colour}" '
            f'fill-opacity="0.10"/><text x="{left + 12}" y="26" font-weight="bold" font-size="14" '
            f'fill="{INK}">{escape(stage)}</text>'
        )
    parts += [_edge([place[each] for each in way]) for way in ways]
    for number, rules in enumerate(by_stage.values()):
        parts += [_box(rule, place[rule], COLOURS[number % len(COLOURS)]) for rule in rules]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _layers(by_stage, edges, rank):
    """``lanes[lane][row]``: names in that cell; ``ways``: every edge as the names that it passes."""
    lane = {rule: number for number, rules in enumerate(by_stage.values()) for rule in rules}
    rows = max(rank.values()) + 1
    lanes = [[[] for _ in range(rows)] for _ in by_stage]
    for rules in by_stage.values():
        for rule in rules:
            lanes[lane[rule]][rank[rule]].append(rule)
    ways = []
    for one, two in sorted(edges):
        dummies = [(one, two, row) for row in range(rank[one] + 1, rank[two])]
        for dummy in dummies:
            lanes[lane[two]][dummy[2]].append(dummy)
        ways.append([one, *dummies, two])
    return lanes, ways


def _neighbours(ways):
    found = {}
    for way in ways:
        for one, two in zip(way, way[1:], strict=False):
            found.setdefault(one, []).append(two)
            found.setdefault(two, []).append(one)
    return found


def _wishes(cell, neighbours, place):
    """Where each member of a cell would like to be: at the mean of its neighbours, a dummy in line with dummies."""
    wished = {}
    for each in cell:
        others = neighbours.get(each, ())
        if not isinstance(each, str):
            others = [other for other in others if not isinstance(other, str)] or others
        x = [place[other][0] for other in others] or [place[each][0]]
        wished[each] = sum(x) / len(x)
    return wished


def _untangle(lanes, neighbours):
    """Sort each cell by the mean place of the neighbours."""
    for _ in range(SWEEPS):
        place = _places(lanes)[0]
        for lane in lanes:
            for cell in lane:
                wished = _wishes(cell, neighbours, place)
                cell.sort(key=lambda each: (wished[each], str(each)))


def _straighten(lanes, neighbours, place, borders):
    """Move the members of each cell towards their neighbours, in their order and inside their lane."""
    for sweep in range(2 * SWEEPS):
        for lane, (left, right) in zip(lanes, borders, strict=True):
            for cell in lane if sweep % 2 else lane[::-1]:
                wished = _wishes(cell, neighbours, place)
                offsets, room = [], 0.0
                for each in cell:
                    offsets.append(room + _size(each) / 2)
                    room += _size(each) + GAP
                starts = _ascending([wished[each] - offset for each, offset in zip(cell, offsets, strict=True)])
                for each, start, offset in zip(cell, starts, offsets, strict=True):
                    start = min(max(start, left + MARGIN), right - MARGIN - room + GAP)
                    place[each] = (round(start + offset, 1), place[each][1])


def _ascending(values):
    """The nearest values that never descend (pool adjacent violators)."""
    blocks = []
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, n), (two, m) = blocks[-2:]
            blocks[-2:] = [[(one * n + two * m) / (n + m), n + m]]
    return [value for value, count in blocks for _ in range(count)]


def _places(lanes):
    """``{name: (x, y)}`` of all centres, the left and right border of each lane, and the width in all."""
    place, borders, left = {}, [], MARGIN
    for lane in lanes:
        width = max(max(_width(cell) for cell in lane), BOX) + 2 * MARGIN
        for row, cell in enumerate(lane):
            x = left + (width - _width(cell)) / 2
            for each in cell:
                place[each] = (round(x + _size(each) / 2, 1), 52 + row * STEP + HEIGHT / 2)
                x += _size(each) + GAP
        borders.append((left, left + width))
        left += width + MARGIN
    return place, borders, left


def _width(cell):
    return sum(_size(each) + GAP for each in cell) - GAP if cell else 0


def _size(each):
    return BOX if isinstance(each, str) else DUMMY


def _edge(points):
    """A smooth line from the bottom of the first box to the top of the last one, with an arrow head."""
    (x, y), (end, bottom) = points[0], points[-1]
    inner = [
        point for middle, line in points[1:-1] for point in ((middle, line - HEIGHT / 2), (middle, line + HEIGHT / 2))
    ]
    stops = [(x, y + HEIGHT / 2), *inner, (end, bottom - HEIGHT / 2 - 5)]
    path = f"M {stops[0][0]} {stops[0][1]}"
    for (x1, y1), (x2, y2) in zip(stops, stops[1:], strict=False):
        middle = (y1 + y2) / 2
        path += f" C {x1} {middle}, {x2} {middle}, {x2} {y2}" if x1 != x2 else f" L {x2} {y2}"
    tip = bottom - HEIGHT / 2
    return (
        f'<path d="{path}" fill="none" stroke="{MUTED}" stroke-width="1.1"/>'
        f'<path d="M {end - 4} {tip - 7} L {end} {tip} L {end + 4} {tip - 7} z" fill="{MUTED}"/>'
    )


def _box(name, centre, colour):
    x, y = centre
    return (
        f'<rect x="{x - BOX / 2}" y="{y - HEIGHT / 2}" width="{BOX}" height="{HEIGHT}" rx="5" fill="#ffffff" '
        f'stroke="{colour}" stroke-width="1.8"/>'
        f'<text x="{x}" y="{y + 4}" text-anchor="middle" fill="{INK}">{escape(name)}</text>'
    )
