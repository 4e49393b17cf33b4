"""The rule graph by stage: from Snakemake's mermaid text to the README and an SVG."""

import io

import pytest

from scripts.common.errors import StudyError
from scripts.report import draw_rulegraph, rulegraph
from tests.report.study_files import words

TEXT = """---
title: DAG
---
flowchart TB
\tid0[all]
\tid1[ingest_symbol]
\tid2[train_folds]
\tid3[draw_auc]
\tid4[gate_ensemble]
\tstyle id0 fill:#57D5D9,stroke-width:2px,color:#333333
\tid3 --> id0
\tid1 --> id2
\tid2 --> id4
\tid4 --> id3
\tid1 --> id3
\tid2 --> id2
"""
README = "# title\n\n<!-- rulegraph -->\nformerly\n<!-- /rulegraph -->\n\nend\n"


def test_the_graph_is_read_without_targets():
    rules, edges = rulegraph.parse(TEXT)
    assert rules == ["draw_auc", "gate_ensemble", "ingest_symbol", "train_folds"]
    assert ("ingest_symbol", "draw_auc") in edges and len(edges) == 4


def test_edges_that_a_longer_way_implies_are_left_out():
    _, edges = rulegraph.parse(TEXT)
    assert rulegraph.reduced(edges) == edges - {("ingest_symbol", "draw_auc")}
    diamond = {("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")}
    assert rulegraph.reduced(diamond | {("a", "d")}) == diamond


def test_the_readme_gets_a_box_per_stage_and_keeps_the_rest(tmp_path):
    page, figure = tmp_path / "README.md", tmp_path / "docs/rulegraph.svg"
    page.write_text(README)
    assert draw_rulegraph.draw(TEXT, page, figure) == 4
    text = page.read_text()
    assert text.startswith("# title\n\n<!-- rulegraph -->\n```mermaid\nflowchart TB\n")
    assert text.endswith("```\n<!-- /rulegraph -->\n\nend\n") and "formerly" not in text
    order = [text.index(each) for each in ('["market"]', "ingest_symbol", '["ensemble"]', "train_folds", '["report"]')]
    assert order == sorted(order)
    assert "  train_folds --> gate_ensemble\n" in text and "ingest_symbol --> draw_auc" not in text
    again = figure.read_bytes()
    draw_rulegraph.draw(TEXT, page, figure)
    assert page.read_text() == text and figure.read_bytes() == again


def test_the_svg_names_stages_and_rules_and_keeps_boxes_in_their_lanes(tmp_path):
    page, figure = tmp_path / "README.md", tmp_path / "rulegraph.svg"
    page.write_text(README)
    draw_rulegraph.draw(TEXT, page, figure)
    names = ["market", "ensemble", "report", "ingest_symbol", "train_folds", "gate_ensemble", "draw_auc"]
    assert words(figure) == names


def test_text_that_is_no_graph_and_a_page_without_markers_are_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(StudyError, match="no rule graph came in"):
        rulegraph.parse("Nothing to be done\n")
    page = tmp_path / "README.md"
    page.write_text("# no markers\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(TEXT))
    assert draw_rulegraph.command_line([str(page), str(tmp_path / "a.svg")]) == 1
    assert "rulegraph -->" in capsys.readouterr().err and page.read_text() == "# no markers\n"
