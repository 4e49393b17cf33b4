"""Snakemake without the executors of clouds: it imports every plugin at each start, and these take 0.8 of 3.5 s.

tests.tiny.make_checkout copies this file into a checkout as sitecustomize.py, which Python imports at its own start.
"""

import pkgutil

CLOUDS = {f"snakemake_executor_plugin_{name}" for name in ("kubernetes", "googlebatch", "aws_batch")}
listed = pkgutil.iter_modules


def without_clouds(*arguments, **options):
    return (each for each in listed(*arguments, **options) if each.name not in CLOUDS)


pkgutil.iter_modules = without_clouds
