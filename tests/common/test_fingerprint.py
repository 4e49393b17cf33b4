import ast
import shutil
from pathlib import Path

import pytest

from scripts.common.fingerprint import Code, fingerprint, read_pins

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path):
    files = {
        "scripts/__init__.py": "",
        "scripts/a/__init__.py": "",
        "scripts/a/train.py": "from scripts.a.boosters import fit\nimport os\n\ndef main(job):\n    fit()\n",
        "scripts/a/boosters.py": (
            '"""Doc."""\ndef fit():\n    import sklearn.linear_model\n    from scripts.common import job\n'
        ),
        "scripts/a/unused.py": "x = 1\n",
        "scripts/common/__init__.py": "",
        "scripts/common/job.py": "def run():\n    '''Doc.'''\n    return 1  # comment\n",
        "lock.txt": "scikit-learn==1.2.3\nlightgbm==4.0 ; sys_platform == 'linux'\n# six==1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def tokens(checkout):
    return Code(checkout, checkout / "lock.txt").tokens("scripts/a/train.py")


def test_tokens_name_the_closure_and_its_packages(checkout):
    names = [token.split("@")[0] for token in tokens(checkout)]
    assert names == ["scripts/a/boosters.py", "scripts/a/train.py", "scripts/common/job.py", "scikit-learn==1.2.3"]


def test_an_edit_changes_only_its_own_token(checkout):
    before = tokens(checkout)
    path = checkout / "scripts/common/job.py"
    path.write_text(path.read_text().replace("return 1", "return 2"))
    changed = set(tokens(checkout)) ^ set(before)
    assert {each.split("@")[0] for each in changed} == {"scripts/common/job.py"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# comment", "# another"),
        ("'''Doc.'''", "'''Other\n    words.'''"),
        ("return 1", "return  (1)"),
        ("\n", "\n\n"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(checkout, old, new):
    before = tokens(checkout)
    path = checkout / "scripts/common/job.py"
    path.write_text(path.read_text().replace(old, new))
    assert tokens(checkout) == before


def test_a_copy_elsewhere_has_the_same_tokens(checkout, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "copy"
    shutil.copytree(checkout, other)
    assert tokens(other) == tokens(checkout)


def test_a_package_without_a_pin_is_named(checkout):
    (checkout / "scripts/a/boosters.py").write_text("import catboost\n")
    with pytest.raises(LookupError, match="imports catboost"):
        tokens(checkout)


def test_relative_imports_are_followed(checkout):
    (checkout / "scripts/a/train.py").write_text("from . import unused\nfrom ..common.job import run\n")
    names = [token.split("@")[0] for token in tokens(checkout)]
    assert names == ["scripts/a/train.py", "scripts/a/unused.py", "scripts/common/job.py"]


def test_a_function_that_is_only_a_docstring_survives():
    assert fingerprint(ast.parse("def f():\n    'x'\n")) == fingerprint(ast.parse("def f():\n    'y'\n"))


def test_pins_are_read_with_normal_names(tmp_path):
    (tmp_path / "r.txt").write_text("TA-Lib==0.8.2\ntyping_extensions==4.16.0 ; python_version > '3'\n-c other.txt\n")
    assert read_pins(tmp_path / "r.txt") == {"ta-lib": "0.8.2", "typing-extensions": "4.16.0"}


def test_every_script_of_the_project_has_tokens_and_pins():
    code = Code(ROOT, ROOT / "envs" / "requirements.txt")
    for path in sorted((ROOT / "scripts").rglob("*.py")):
        assert code.tokens(path.relative_to(ROOT))
