"""What a rule's code is: content fingerprints of a script and of everything that it imports.

Snakemake reruns a ``script:`` when the script's mtime changes, and never when a module that it imports changes.
The Snakefile therefore puts :meth:`Code.tokens` into the params of every rule: the project modules that the script
imports, transitively (``scripts/ensemble/boosters.py@550a99b0d9``), and the pinned versions of the third-party
packages that these import (``lightgbm==4.7.0``). A fingerprint is taken from the syntax tree without comments and
docstrings, so that cosmetic edits, checkouts and copies rerun nothing.
"""

import ast
import functools
import hashlib
import re
import sys
from pathlib import Path

# Import names that differ from the name of their distribution.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "talib": "ta-lib", "yaml": "pyyaml", "dateutil": "python-dateutil"}


class Code:
    """The code of one checkout. Make one per parse of the Snakefile: it remembers what it has read.

    ``root`` holds the package ``scripts``; ``lock`` is the requirements file with the pins.
    """

    def __init__(self, root, lock):
        self.root = Path(root)
        self.pins = read_pins(lock)
        self._trees = {}
        self._closures = {}

    def tokens(self, *files):
        """The sorted tokens of ``files`` (paths below the root) and of all that they import.

        Raises FileNotFoundError for a file that is not there and LookupError for an imported package that has
        no pin in the lock.
        """
        modules = set()
        for file in files:
            modules |= self._closure(Path(file))
        packages = set().union(*(self._read(module)[2] for module in modules)) if modules else set()
        return [f"{module.as_posix()}@{self._read(module)[0]}" for module in sorted(modules)] + [
            self._pin(package) for package in sorted(packages, key=str.lower)
        ]

    def _closure(self, file):
        if file not in self._closures:
            found, waiting = set(), [file]
            while waiting:
                module = waiting.pop()
                if module not in found:
                    found.add(module)
                    waiting.extend(self._read(module)[1])
            self._closures[file] = found
        return self._closures[file]

    def _read(self, file):
        """(fingerprint, project files imported, third-party packages imported) of one file."""
        if file not in self._trees:
            digest, imported = parse(file, (self.root / file).read_text(encoding="utf-8"))
            inside, outside = set(), set()
            for name, members in imported:
                if name.split(".")[0] == "scripts":
                    inside |= self._files(name, members)
                elif name.split(".")[0] not in sys.stdlib_module_names:
                    outside.add(name.split(".")[0])
            self._trees[file] = (digest, inside, outside)
        return self._trees[file]

    def _files(self, name, members):
        """The files behind ``from name import members``: the module or package, and members that are modules."""
        path = Path(*name.split("."))
        # importing scripts.market.bars runs the __init__ of scripts and of scripts.market as well
        candidates = [parent / "__init__.py" for parent in path.parents if parent.parts] + [path / "__init__.py"]
        candidates += [path.with_suffix(".py")]
        for member in members:
            candidates += [path / f"{member}.py", path / member / "__init__.py"]
        return {each for each in candidates if (self.root / each).is_file() and (self.root / each).stat().st_size}

    def _pin(self, package):
        name = normal_name(DISTRIBUTIONS.get(package, package))
        if name not in self.pins:
            raise LookupError(f"the code imports {package}, but the requirements lock has no pin for {name}")
        return f"{name}=={self.pins[name]}"


@functools.cache
def parse(file, text):
    """``(fingerprint, [(module, names of members), ...])`` of a file with the content ``text``: what it imports.

    Remembered by content, so that many plans in one process parse a text once and see every edit.
    """
    tree = ast.parse(text)
    return fingerprint(tree), tuple(_imports(tree, file))


def fingerprint(tree):
    """Ten hex digits of a syntax tree's content; comments, docstrings and layout do not count.

    ``ast.unparse`` of the stripped tree is stable across Python versions, ``ast.dump`` is not. The tree is changed.
    """
    for node in _statements(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:10]


def read_pins(lock):
    """``{name: version}`` of the ``name==version`` lines of a requirements file; names are normalised (PEP 503)."""
    pins = {}
    for line in Path(lock).read_text(encoding="utf-8").splitlines():
        match = re.match(r"\s*([A-Za-z0-9._-]+)==([^\s;#]+)", line)
        if match:
            pins[normal_name(match[1])] = match[2]
    return pins


def normal_name(name):
    """A distribution's name in its one normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _statements(tree):
    """The tree and all statements in it, at any depth; expressions, which are most of a tree, hold none."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            inner = getattr(node, field, ())
            waiting += inner if isinstance(inner, list) else ()


def _imports(tree, file):
    """(module, member names) of every import statement, those inside functions included; relative ones resolved."""
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            base = list(file.parent.parts[: len(file.parent.parts) - node.level + 1]) if node.level else []
            name = ".".join(base + ([node.module] if node.module else []))
            yield name, tuple(alias.name for alias in node.names)
