import sys
import types

from scripts.execution import queries


def test_what_the_controller_said_once_is_remembered(monkeypatch):
    answers = iter([None, 300, None])
    plugin = types.ModuleType("plugin_of_this_test")
    plugin.get_min_job_age = lambda: next(answers)
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    executor = type("Executor", (), {"__module__": plugin.__name__})()
    queries.make_safe(executor)  # no answer yet
    assert [plugin.get_min_job_age() for _ in range(3)] == [300, 300, 300]


def test_the_pinned_plugin_asks_where_it_is_mended():
    import inspect

    import snakemake_executor_plugin_slurm as plugin

    assert plugin.Executor.__module__ == plugin.__name__
    assert "min_job_age = get_min_job_age()" in inspect.getsource(plugin.Executor)
