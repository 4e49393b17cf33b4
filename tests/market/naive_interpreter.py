"""The expression language once more, bar by bar, symbol by symbol, in plain loops: slow, and written to be read.

It is the reference of the evaluator in ``scripts.market.expressions`` and shares nothing with it but the tree. It is
written from the definitions in docs/expressions.md. Unknown is None; a condition is True, False or None.
"""

import math

LIMIT = 1e-12


class Interpreter:
    """Values of trees over ``bars``: {symbol: [{variable: value, "timestamp": stamp} per bar]}, groups among them."""

    def __init__(self, bars):
        self.bars, self.memo = bars, {}

    def table(self, node):
        """``{(stamp, symbol): value}`` of a tree, conditions as 1.0 and 0.0."""
        values = self.values(node)
        return {
            (bar["timestamp"], symbol): None if value is None else float(value)
            for symbol, bars in self.bars.items()
            for bar, value in zip(bars, values[symbol], strict=True)
        }

    def values(self, node):
        """``{symbol: [value per bar]}`` of a tree."""
        if node not in self.memo:
            self.memo[node] = self.compute(node)
        return self.memo[node]

    def compute(self, node):
        if node.operator == "number":
            return {symbol: [node.value] * len(bars) for symbol, bars in self.bars.items()}
        if node.operator == "variable":
            return {symbol: self.variable(node.value, bars) for symbol, bars in self.bars.items()}
        if node.operator in ACROSS:
            return self.across(node)
        inputs = [self.values(each) for each in node.arguments]
        rule = SINGLE.get(node.operator) or WINDOWED[node.operator]
        result = {}
        for symbol, bars in self.bars.items():
            columns = [each[symbol] for each in inputs]
            if node.operator in SINGLE:
                result[symbol] = [finite(rule(*row)) for row in zip(*columns, strict=True)]
            else:
                numbers = [each.value if each.operator == "number" else None for each in node.arguments]
                result[symbol] = [finite(rule(columns, numbers, row)) for row in range(len(bars))]
        return result

    def variable(self, name, bars):
        if name == "returns":
            closes = [bar["close"] for bar in bars]
            return [None] + [
                finite(subtract(divide(now, before), 1.0)) for before, now in zip(closes, closes[1:], strict=False)
            ]
        if name.startswith("adv"):
            volumes = [bar["volume"] for bar in bars]
            return [mean([volumes], [None, float(name[3:])], row) for row in range(len(bars))]
        return [bar[name] for bar in bars]

    def across(self, node):
        """An operator across symbols: stamp by stamp, over the symbols that have a known value there."""
        series, *rest = node.arguments
        values = self.values(series)
        groups = self.values(rest[0]) if node.operator == "indneutralize" else None
        result = {symbol: [None] * len(bars) for symbol, bars in self.bars.items()}
        places = {}
        for symbol, bars in self.bars.items():
            for row, bar in enumerate(bars):
                if values[symbol][row] is not None:
                    places.setdefault(bar["timestamp"], []).append((symbol, row))
        for members in places.values():
            known = {(symbol, row): values[symbol][row] for symbol, row in members}
            labels = {(symbol, row): groups[symbol][row] for symbol, row in members} if groups else None
            for symbol, row in members:
                number = rest[0].value if node.operator == "scale" else None
                value = ACROSS[node.operator](known, (symbol, row), labels, number)
                result[symbol][row] = finite(value)
        return result


def finite(value):
    if value is None or value is True or value is False:
        return value
    return float(value) if math.isfinite(value) else None


def gridded(value):
    """Ranks and correlations are multiples of 2^-40."""
    return None if value is None else round(value * 2**40) / 2**40


# --- operators that look at one value


def known(rule):
    """The rule for values that are known; unknown where one is not."""
    return lambda *values: None if None in values else rule(*values)


@known
def subtract(a, b):
    return a - b


@known
def divide(a, b):
    return None if b == 0 else a / b


@known
def power(a, b):
    if a == 0 and b < 0:
        return None
    if a < 0 and b != int(b):
        return None
    try:
        return a**b
    except OverflowError:
        return None


@known
def signed_power(a, b):
    size = power(abs(a), b)
    return None if size is None else (a > 0) * size - (a < 0) * size


def exponential(a):
    try:
        return math.exp(a)
    except OverflowError:
        return None


def both(a, b):
    if a is False or b is False:
        return False
    return None if None in (a, b) else True


def either(a, b):
    if a is True or b is True:
        return True
    return None if None in (a, b) else False


def choose(condition, a, b):
    return None if condition is None else a if condition else b


SINGLE = {
    "+": known(lambda a, b: a + b),
    "-": subtract,
    "*": known(lambda a, b: a * b),
    "/": divide,
    "^": power,
    "neg": known(lambda a: -a),
    "<": known(lambda a, b: a < b),
    "<=": known(lambda a, b: a <= b),
    ">": known(lambda a, b: a > b),
    ">=": known(lambda a, b: a >= b),
    "==": known(lambda a, b: a == b),
    "!=": known(lambda a, b: a != b),
    "&&": both,
    "||": either,
    "!": known(lambda a: not a),
    "?": choose,
    "abs": known(abs),
    "log": known(lambda a: math.log(a) if a > 0 else None),
    "sign": known(lambda a: (a > 0) - (a < 0)),
    "sqrt": known(lambda a: math.sqrt(a) if a >= 0 else None),
    "exp": known(exponential),
    "min": known(min),
    "max": known(max),
    "signed_power": signed_power,
    "filter": lambda x, condition: x if condition is True else None,
}


# --- operators across symbols


def rank(values, place, labels, number):
    below = sum(each < values[place] for each in values.values())
    equal = sum(each == values[place] for each in values.values())
    return gridded((below + (equal + 1) / 2) / len(values))


def scale(values, place, labels, number):
    return divide(values[place] * number, math.fsum(abs(each) for each in values.values()))


def indneutralize(values, place, labels, number):
    if labels[place] is None:
        return None
    group = [value for key, value in values.items() if labels[key] == labels[place]]
    return values[place] - math.fsum(group) / len(group)


ACROSS = {"rank": rank, "scale": scale, "indneutralize": indneutralize}


# --- operators over the symbol's own bars: (columns of arguments, the numbers among them, row)


def window(column, n, row):
    """The last n values, oldest first; those before the first bar are unknown."""
    return [column[each] if each >= 0 else None for each in range(row - int(n) + 1, row + 1)]


def over_window(rule, place=-1):
    """A rule on (window, n): unknown where less than three quarters of the window's rows are known."""

    def computed(columns, numbers, row):
        n = int(numbers[place])
        values = window(columns[0], n, row)
        return rule(values, n) if sum(each is not None for each in values) >= math.ceil(0.75 * n) else None

    return computed


def over_rows(rule):
    """A rule on rows (y, x1, ...) of which all are known, for an operator of several series and a window."""

    def computed(columns, numbers, row):
        n = int(numbers[-1])
        rows = list(zip(*(window(column, n, row) for column in columns[:-1]), strict=True))
        whole = [each for each in rows if None not in each]
        return rule(whole, rows[-1]) if len(whole) >= math.ceil(0.75 * n) else None

    return computed


def told(values):
    return [each for each in values if each is not None]


def delay(columns, numbers, row):
    before = row - int(numbers[1])
    return columns[0][before] if before >= 0 else None


def delta(columns, numbers, row):
    return subtract(columns[0][row], delay(columns, numbers, row))


def average(values):
    return values[0] if len(set(values)) == 1 else math.fsum(values) / len(values)


mean = over_window(lambda values, n: average(told(values)))


def stddev(values, n):
    values = told(values)
    centre = average(values)
    return math.sqrt(math.fsum((each - centre) ** 2 for each in values) / (len(values) - 1))


def ts_argmax(values, n):
    best = max(told(values))
    return next(place for place, each in enumerate(values, start=1) if each == best)


def ts_argmin(values, n):
    best = min(told(values))
    return next(place for place, each in enumerate(values, start=1) if each == best)


def ts_rank(values, n):
    newest, others = values[-1], told(values)
    if newest is None:
        return None
    below, equal = sum(each < newest for each in others), sum(each == newest for each in others)
    return gridded((below + (equal + 1) / 2) / len(others))


def quantile(columns, numbers, row):
    n, q = int(numbers[1]), numbers[2]
    ordered = sorted(told(window(columns[0], n, row)))
    if len(ordered) < math.ceil(0.75 * n):
        return None
    place = q * (len(ordered) - 1)
    low = ordered[math.floor(place)]
    high = ordered[min(math.floor(place) + 1, len(ordered) - 1)]
    return low + (high - low) * (place - math.floor(place))


def weighted(weights):
    """The mean with ``weights(n)``, oldest first, over what is known."""

    def computed(values, n):
        pairs = [(weight, each) for weight, each in zip(weights(n), values, strict=True) if each is not None]
        return math.fsum(weight * each for weight, each in pairs) / math.fsum(weight for weight, _ in pairs)

    return computed


def sma(columns, numbers, row):
    n, m = numbers[1], numbers[2]
    keep = 1 - m / n
    rows = 1
    while keep**rows >= LIMIT:
        rows += 1
    values = window(columns[0], rows, row)
    if len(told(values)) < min(n, rows):
        return None
    return weighted(lambda count: [keep ** (count - 1 - place) for place in range(count)])(values, rows)


def moments(rows):
    """Sums of squares and products of the distances from the means of rows of two values."""
    first, second = [each[0] for each in rows], [each[1] for each in rows]
    a, b = average(first), average(second)
    squares_a = math.fsum((each - a) ** 2 for each in first)
    squares_b = math.fsum((each - b) ** 2 for each in second)
    return squares_a, squares_b, math.fsum((x - a) * (y - b) for x, y in rows), a, b


def correlation(rows, newest):
    squares_a, squares_b, products, _, _ = moments(rows)
    return gridded(divide(products, math.sqrt(squares_a) * math.sqrt(squares_b)))


def covariance(rows, newest):
    squares_a, squares_b, products, _, _ = moments(rows)
    if abs(products) <= math.sqrt(squares_a) * math.sqrt(squares_b) / 2**40:
        return 0.0
    digits, exponent = math.frexp(products / (len(rows) - 1))
    return math.ldexp(round(digits * 2**40), exponent - 40)


def line(rows):
    """Slope and intercept of the first value of the rows on the second."""
    _, squares, products, a, b = moments(rows)
    slope = divide(products, squares)
    return slope, None if slope is None else a - slope * b


def regbeta(columns, numbers, row):
    if len(columns) == 3:
        return over_rows(lambda rows, newest: line(rows)[0])(columns, numbers, row)
    n = int(numbers[2])
    y, x, _, condition = (window(column, n, row) for column in columns)
    rows = [(a, b) for a, b, c in zip(y, x, condition, strict=True) if c is True and None not in (a, b)]
    informed = len(rows) + sum(each is False for each in condition)
    return line(rows)[0] if informed >= math.ceil(0.75 * n) and rows else None


def regresi(rows, newest):
    """What the least squares plane leaves of the newest y: normal equations solved by elimination with pivots."""
    if None in newest:
        return None
    count = len(newest)
    centres = [average([each[place] for each in rows]) for place in range(count)]
    gaps = [[each[place] - centres[place] for place in range(count)] for each in rows]
    table = [[math.fsum(gap[i] * gap[j] for gap in gaps) for j in (*range(1, count), 0)] for i in range(1, count)]
    size = len(table)
    for i in range(size):
        pivot = max(range(i, size), key=lambda each: abs(table[each][i]))
        table[i], table[pivot] = table[pivot], table[i]
        if table[i][i] == 0:
            return None
        for below in range(size):
            if below != i:
                factor = table[below][i] / table[i][i]
                table[below] = [a - factor * b for a, b in zip(table[below], table[i], strict=True)]
    slopes = [table[i][-1] / table[i][i] for i in range(size)]
    predicted = sum(slope * (newest[place + 1] - centres[place + 1]) for place, slope in enumerate(slopes))
    return newest[0] - centres[0] - predicted


def timed(values):
    return [(each, float(place)) for place, each in enumerate(values, start=1) if each is not None]


def slope(values, n):
    return line(timed(values))[0]


def rsquare(values, n):
    found = correlation(timed(values), None)
    return None if found is None else found**2


def resi(values, n):
    if values[-1] is None:
        return None
    rise, start = line(timed(values))
    return values[-1] - (start + rise * n)


def sumif(columns, numbers, row):
    x, _, condition = columns
    chosen = [choose(holds, each, 0.0) for each, holds in zip(x, condition, strict=True)]
    return over_window(lambda values, n: math.fsum(told(values)), 1)([chosen], numbers, row)


WINDOWED = {
    "delay": delay,
    "delta": delta,
    "sum": over_window(lambda values, n: math.fsum(told(values))),
    "mean": mean,
    "stddev": over_window(stddev),
    "product": over_window(lambda values, n: math.prod(told(values))),
    "ts_min": over_window(lambda values, n: min(told(values))),
    "ts_max": over_window(lambda values, n: max(told(values))),
    "ts_argmin": over_window(ts_argmin),
    "ts_argmax": over_window(ts_argmax),
    "ts_rank": over_window(ts_rank),
    "quantile": quantile,
    "correlation": over_rows(correlation),
    "covariance": over_rows(covariance),
    "decay_linear": over_window(weighted(lambda n: range(1, n + 1))),
    "wma": over_window(weighted(lambda n: [0.9 ** (n - 1 - place) for place in range(n)])),
    "sma": sma,
    "regbeta": regbeta,
    "regresi": over_rows(regresi),
    "slope": over_window(slope),
    "rsquare": over_window(rsquare),
    "resi": over_window(resi),
    "count": over_window(lambda values, n: float(sum(each is True for each in values))),
    "sumif": sumif,
    "highday": over_window(lambda values, n: n - ts_argmax(values, n)),
    "lowday": over_window(lambda values, n: n - ts_argmin(values, n)),
}
