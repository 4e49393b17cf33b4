import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from scripts.common.atomic import replacing, write_json, write_table, write_text

ROOT = Path(__file__).parents[2]


def test_an_error_leaves_the_former_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("a.txt", "old")]


def test_what_a_killed_job_left_is_removed_by_the_next_one(tmp_path):
    command = "import os, sys; from scripts.common.atomic import replacing\nwith replacing(sys.argv[1]) as part:\n"
    command += "    part.mkdir(); (part / 'half').write_text('x'); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", command, tmp_path / "block"], cwd=ROOT)
    assert done.returncode == -9 and len(list(tmp_path.iterdir())) == 1
    with replacing(tmp_path / "block") as temporary:
        temporary.mkdir()
        (temporary / "whole").write_text("y")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["block", "block/whole"]


def test_a_folder_is_replaced_whole(tmp_path):
    for names in (["x", "y"], ["z"]):
        with replacing(tmp_path / "deep" / "folder") as temporary:
            temporary.mkdir()
            for name in names:
                (temporary / name).write_text(name)
    assert [each.name for each in (tmp_path / "deep" / "folder").iterdir()] == ["z"]
    assert len(list((tmp_path / "deep").iterdir())) == 1


def test_json_is_canonical_and_refuses_nan(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [0.1]})
    write_json(tmp_path / "b.json", {"a": [0.10], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [0.1], "b": 1}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "c.json", {"a": float("nan")})
    assert not (tmp_path / "c.json").exists()


def test_equal_tables_are_equal_files(tmp_path):
    frame = pd.DataFrame({"timestamp": pd.date_range("2021", periods=3, tz="UTC"), "p": [0.1, None, 0.3]})
    for name in ("a", "b"):
        write_table(tmp_path / f"{name}.parquet", frame.copy())
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), frame)
