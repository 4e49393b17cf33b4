"""Texts and conversations that tokenizers and chat templates get wrong.

All are NFC: llama.cpp has no Unicode normaliser, so corpora and prompts are normalised before they are tokenised.
"""

import itertools

ACCENTS = ("naïve café, déjà vu", "ÄÖÜß äöü ÆØÅ æøå", "Ħal għal ċar żagħżugħ", "Łódź, Čeština, Dvořák", "ἀρχή ὁ λόγος")
SCRIPTS = (
    "市场在收盘前回升，成交量放大。",
    "終値は移動平均線を上回った。",
    "종가는 이동평균 위에 있다.",
    "цена закрытия выше средней",
    "السعر فوق المتوسط ١٢٣",
    "מחיר הסגירה מעל הממוצע",
    "ราคาปิดสูงกว่าค่าเฉลี่ย",
    "कीमत औसत से ऊपर है",
)
EMOJI = ("📈📉", "👩‍💻 👨‍👩‍👧‍👦", "🇫🇷🇯🇵", "👍🏽 ok", "❤️ ☎︎", "\U0001f9ff\U0001fae0")
LINES = (
    "a\r\nb\r\n\r\nc",
    "a\n\n\nb\n",
    "\n\n\n",
    "\r\n",
    "a \n b\t\n\tc",
    "trailing blanks   \n",
    "\x0b\x0c page",
    "one\u2028two\u2029three\u0085four",
)
BLANKS = (
    " ",
    "  ",
    "a  b   c    d",
    " " * 31 + "x",
    " " * 256,
    "\t\t\tx\t",
    " \n \n ",
    "no\u00a0break\u2009thin\u3000wide",
    "zero\u200bwidth\ufeff!",
    "soft\u00adhyphen",
)
DIGITS = (
    "0 12 345 6789 1234567890123",
    "1,234,567.89 and 1.234.567,89",
    "-0.000648775 3.57945e-05 +1.5E+10",
    "2024-04-08 01:00 UTC 09:30:00.123",
    "٣٤٥ ५६७ ½ ² Ⅷ",
    "$1.05 €2,50 £3 ¥400 ₿0.1 12%",
)
WORDS = (
    "I'm you're he'd it's we've they'll DON'T Can'T",
    "l'été d’accord rock'n'roll '' ' 's",
    "CamelCase snake_case kebab-case SCREAMING_CASE x1y2z3",
    "antidisestablishmentarianism " * 3,
    "a" * 300,
    "!?!?... --- === *** ~~~ ###",
    "“quotes” ‘single’ «guillemets» „low“ … – — ·",
    "≈ ≤ ≥ ± × ÷ ∑ ∫ √ ∞ σ μ Δ → ⇒",
)
CODE = (
    "def f(x):\n    return x ** 2  # square\n\n\tif x:\n\t\tpass\n",
    '{"a": [1, 2.5e-3, null], "b": "\\"q\\" \\\\ \\u00e9"}',
    "SELECT * FROM t WHERE a<>b AND c>=1;--x",
    "ts_rank(stddev(returns, 20), 5) * -1",
    "\\frac{p_t}{p_{t-1}} - 1 $$\\sum_{i=1}^{n} x_i$$",
    "<html><b>x</b></html> </s> <s> <pad> <unk>",
    "https://example.org/a?b=c&d=%20#e C:\\dir\\file.txt",
    "{{ 'jinja' }} {% if x %} {# c #} {{.Go}}",
)
# halves of special tokens and of their looks: they are text
LOOKALIKES = ("<|im_", "|im_end|>", "<| im_end |>", "<|IM_END|>", "<|im_end", "[INST] <<SYS>>", "<think>", "\ufffd")
TEXTS = ("x", *ACCENTS, *SCRIPTS, *EMOJI, *LINES, *BLANKS, *DIGITS, *WORDS, *CODE, *LOOKALIKES)

SYSTEM = 'You are a "careful" analyst.\nAnswer in one line; never say 100%.'
QUESTIONS = ("Is the close above its mean?\n\tclose: 1.05 €", "  And now: {{x}} `code` naïve 市场 📈  ")
ANSWER = "Yes.\n\nIt is \\ above 'it'."


def texts(special):
    """The texts, with the special tokens ``special`` (strings) at their start, end, middle, doubled and mixed."""
    marked = [text for each in special for text in (each, f"a{each}b", f" {each} ", f"{each}{each}\n{each}user\n")]
    return [*TEXTS, *marked, *("x".join(pair) for pair in itertools.permutations(special[:6], 2))]


def conversations():
    """``{name: messages}``: one turn and three turns, each with and without a system message."""
    user, again = ({"role": "user", "content": text} for text in QUESTIONS)
    turns = {"1-turn": [user], "3-turn": [user, {"role": "assistant", "content": ANSWER}, again]}
    system = [{"role": "system", "content": SYSTEM}]
    return turns | {f"{name} with a system message": system + messages for name, messages in turns.items()}
