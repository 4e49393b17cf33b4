def pytest_addoption(parser):
    parser.addoption("--kills", default="6", help="how often tests/end_to_end/test_kill.py kills a run")
