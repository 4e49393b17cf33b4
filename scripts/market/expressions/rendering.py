"""From tree to text, and to LaTeX."""

from scripts.market.expressions.operators import OPERATORS
from scripts.market.expressions.parsing import STRENGTH

UNARY, POWER, ATOM = 6, 7, 8
LETTERS = {"<=": r"\le", ">=": r"\ge", "==": "=", "!=": r"\ne", "&&": r"\wedge", "||": r"\vee", "*": r"\cdot"}


def to_text(node):
    """The canonical spelling; ``parse(to_text(node))`` is ``node``."""
    return _text(node)[0]


def _text(node):
    """The text of a node and how strongly it holds together."""
    if node.is_number:
        return written(node.value), UNARY if node.value < 0 else ATOM
    if node.operator == "variable":
        return node.value, ATOM
    parts = [_text(each) for each in node.arguments]
    if node.operator == "?":
        condition, chosen, other = parts
        return f"{_held(condition, 1)} ? {_held(chosen, 1)} : {other[0]}", 0
    if node.operator in STRENGTH:
        strength = STRENGTH[node.operator]
        return f"{_held(parts[0], strength)} {node.operator} {_held(parts[1], strength + 1)}", strength
    if node.operator == "^":
        return f"{_held(parts[0], ATOM)}^{_held(parts[1], UNARY)}", POWER
    if node.operator in ("neg", "!"):
        return f"{'-' if node.operator == 'neg' else '!'}{_held(parts[0], UNARY)}", UNARY
    return f"{node.operator}({', '.join(text for text, _ in _given(node, parts))})", ATOM


def _held(part, least):
    text, strength = part
    return text if strength >= least else f"({text})"


def _given(node, parts):
    """The arguments without the last ones that are as they would be if left out."""
    defaults = OPERATORS[node.operator].defaults
    count = len(parts)
    while count and count <= len(defaults) and node.arguments[count - 1].value == defaults[count - 1] is not None:
        count -= 1
    return parts[:count]


def written(value):
    """A number as text, the shortest that reads back as the same."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def to_latex(node):
    """The formula in LaTeX."""
    return _latex(node)[0]


def _latex(node):
    if node.is_number:
        return _latex_number(node.value)
    if node.operator == "variable":
        return rf"\mathrm{{{_escaped(node.value)}}}", ATOM
    if node.operator == "delay" and node.arguments[0].operator == "variable":
        return rf"\mathrm{{{_escaped(node.arguments[0].value)}}}_{{t-{written(node.arguments[1].value)}}}", ATOM
    parts = [_latex(each) for each in node.arguments]
    texts = [text for text, _ in parts]
    if node.operator == "/":
        return rf"\frac{{{texts[0]}}}{{{texts[1]}}}", POWER
    if node.operator == "?":
        return _latex_choice(node, texts)
    if node.operator in STRENGTH:
        strength, sign = STRENGTH[node.operator], LETTERS.get(node.operator, node.operator)
        return f"{_wrapped(parts[0], strength)} {sign} {_wrapped(parts[1], strength + 1)}", strength
    if node.operator == "^":
        return f"{_wrapped(parts[0], ATOM)}^{{{texts[1]}}}", POWER
    if node.operator in ("neg", "!"):
        return f"{'-' if node.operator == 'neg' else chr(92) + 'neg '}{_wrapped(parts[0], UNARY)}", UNARY
    if node.operator == "abs":
        return rf"\left|{texts[0]}\right|", ATOM
    if node.operator == "sqrt":
        return rf"\sqrt{{{texts[0]}}}", ATOM
    if node.operator == "exp":
        return rf"\exp\left({texts[0]}\right)", ATOM
    return _latex_call(node, texts), ATOM


def _latex_choice(node, texts):
    if [each.value for each in node.arguments[1:]] == [1.0, 0.0]:
        return rf"\mathbb{{1}}\left[{texts[0]}\right]", ATOM
    cases = rf"{texts[1]} & \text{{if }} {texts[0]} \\ {texts[2]} & \text{{otherwise}}"
    return rf"\begin{{cases}} {cases} \end{{cases}}", ATOM


def _latex_call(node, texts):
    """A call: its numbers of bars stand below the name, its series in brackets."""
    kinds = OPERATORS[node.operator].kinds(len(texts))
    below = [text for text, kind in zip(texts, kinds, strict=True) if kind in "ndmq"]
    series = [text for text, kind in zip(texts, kinds, strict=True) if kind not in "ndmq"]
    name = rf"\operatorname{{{_escaped(node.operator)}}}"
    if node.operator in ("log", "min", "max"):
        name = rf"\{node.operator}"
    return f"{name}{'_{' + ', '.join(below) + '}' if below else ''}" + rf"\left({', '.join(series)}\right)"


def _latex_number(value):
    """A number to 12 digits: 0.1233 and not the 0.12329999999999997 that 1 - 0.8767 is."""
    text = written(float(f"{value:.12g}"))
    if "e" not in text:
        return text, UNARY if value < 0 else ATOM
    digits, exponent = text.split("e")
    power = f"10^{{{int(exponent)}}}"
    return (power, POWER) if digits == "1" else (rf"{digits} \cdot {power}", STRENGTH["*"])


def _wrapped(part, least):
    text, strength = part
    return text if strength >= least else rf"\left({text}\right)"


def _escaped(name):
    return name.replace("_", r"\_")
