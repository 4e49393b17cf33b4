"""Every figure and table of the report page has a caption that can be rendered, a category and labels."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils.core import publish_string
from jinja2 import Environment, StrictUndefined
from snakemake.io import get_flag_value, is_flagged

from tests.planning import copy_checkout, workflow

ROOT = Path(__file__).parents[2]
CAPTIONS = sorted((ROOT / "resources/captions").glob("*.rst"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """(file, report flag) of all outputs on the report page."""
    with workflow(copy_checkout(tmp_path_factory.mktemp("captions"))) as flow:
        outputs = [file for rule in flow.rules for file in rule.output]
        return [(str(file), get_flag_value(file, "report")) for file in outputs if is_flagged(file, "report")]


def test_every_file_of_the_page_has_a_caption_that_exists_a_category_and_labels(shown):
    assert len(shown) == 15
    used = {Path(flag.caption.get_path_or_uri(secret_free=True)).name for _, flag in shown}
    assert used | {"workflow.rst"} == {path.name for path in CAPTIONS}
    for file, flag in shown:
        assert flag.category in ("1 Study", "2 Market", "3 Ensemble", "4 Corpus", "5 LLM"), file
        assert flag.labels and "shows" in flag.labels, file
        assert file.endswith((".svg", ".html")), file


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_a_caption_renders_without_complaint(path):
    wildcards = {"market": "made", "ensemble": "up", "target": "AAA", "timeframe": "1h"}
    config = {"study": "made", "seed": 7, "report": {"title": "A title", "note": "A note."}}
    job = SimpleNamespace(wildcards=wildcards, params={"timeframe": "1h", "horizon": 5}, config=config)
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(path.read_text()).render(snakemake=job)
    page = publish_string(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2}).decode()
    assert "{{" not in text and 'class="system-message"' not in page
    if path.stem == "workflow":
        assert "<h1" in page and "A note." in page
