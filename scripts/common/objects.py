"""Objects in a store (S3, Google Cloud Storage, ...) through Snakemake's storage plugins: listed, fetched, removed.

Rules need none of this: Snakemake fetches inputs and stores outputs. It is for what reads a study without planning it,
such as its verification, and for what Snakemake does not ask the store.
"""

import asyncio
import logging
import os
import shutil
import tempfile
import weakref
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

from scripts.common.errors import StudyError

# where the results are objects: the address of the folder in which the paths of the rules begin
HOME = "QUANTMAKE_OBJECTS"
# what the plugins call their secrets: these come from the user's environment and go nowhere else
SECRET = ("key", "token", "secret", "password", "credential", "user")


def is_address(text):
    """Whether a text is the address of an object or of a folder of objects, such as ``s3://bucket/results/laptop``."""
    return "://" in str(text)


def at_home(path):
    """Where a job finds what the rules call ``path``: the address of the object, or the path itself on disk."""
    home = os.environ.get(HOME)
    return f"{home}/{path}" if home else path


def environment(provider, prefix):
    """What a job's environment says of a default storage provider: its settings, less all secrets, and home."""
    settings = provider.settings
    given = {field.name: getattr(settings, field.name) for field in fields(settings)} if settings else {}
    return {HOME: prefix.rstrip("/")} | {
        _variable(_name(provider), name): value
        for name, value in given.items()
        if isinstance(value, str) and not any(each in name for each in SECRET)
    }


def require_access(file):
    """Ask the store for one object (a plugin's storage object); StudyError when it refuses or does not answer."""
    try:
        file.exists()
    except Exception as error:  # each plugin has its own
        raise StudyError(
            f"{file.query} cannot be reached ({type(error).__name__}: {error}). Nothing was run. Check the endpoint, "
            f"the credentials (environment variables {_variable(_name(file.provider), '...')}), and what these allow"
        ) from None


class Folder:
    """All objects whose names begin with ``address`` and a slash.

    The plugin's settings come from ``SNAKEMAKE_STORAGE_<PLUGIN>_<SETTING>``, as for Snakemake. Raises StudyError
    when there is no plugin for the address, or the store cannot be reached.
    """

    def __init__(self, address):
        self.address = str(address).rstrip("/")
        plugin = _plugin(self.address)
        self._copies = Path(tempfile.mkdtemp(prefix="quantmake-objects-"))
        weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)
        self._provider = plugin.storage_provider(
            local_prefix=self._copies,
            logger=logging.getLogger(__name__),
            settings=plugin.settings_cls and plugin.settings_cls(**_settings(plugin)),
        )
        require_access(self._object("manifest.json"))

    def __str__(self):
        return self.address

    def sizes(self):
        """``{path relative to the folder: bytes}`` of all objects below it."""
        cache, first = SimpleNamespace(exists_in_storage={}, mtime={}, size={}), self._object("manifest.json")
        asyncio.run(first.inventory(cache))
        top = first.local_path().parent
        return {
            Path(name).relative_to(top).as_posix(): size
            for name, size in cache.size.items()
            if top in Path(name).parents
        }

    def fetch(self, path, copy=None):
        """A copy of an object on disk: ``copy``, or a file that the next call replaces.

        Raises FileNotFoundError where there is no object.
        """
        found = self._object(path)
        if not found.exists():
            raise FileNotFoundError(found.query)
        copy = Path(copy or self._copies / "copy")
        copy.unlink(missing_ok=True)
        copy.parent.mkdir(parents=True, exist_ok=True)
        found.set_local_path(copy)
        found.retrieve_object()
        return copy

    def remove(self, path):
        """Remove an object, or all below a folder of objects; whether there was one."""
        found = self._object(path)
        there = found.exists()
        if there:
            found.remove()
        return there

    def _object(self, path):
        return self._provider.object(f"{self.address}/{path}")


def _plugin(address):
    """The storage plugin that an address belongs to."""
    from snakemake_interface_storage_plugins.registry import StoragePluginRegistry

    plugins = StoragePluginRegistry().plugins.values()
    fitting = [each for each in plugins if each.storage_provider.is_valid_query(address)]
    if len(fitting) != 1:
        known = ", ".join(sorted(each.name for each in plugins)) or "none"
        raise StudyError(f"no storage plugin of Snakemake is installed for {address} (installed: {known})")
    return fitting[0]


def _settings(plugin):
    """The settings of a plugin that the environment gives."""
    names = [field.name for field in fields(plugin.settings_cls)] if plugin.settings_cls else []
    found = {name: os.environ.get(_variable(plugin.name, name)) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _variable(plugin, setting):
    """The environment variable that Snakemake reads a plugin's setting from."""
    return f"SNAKEMAKE_STORAGE_{plugin}_{setting}".upper()


def _name(provider):
    """The name of the plugin that a provider belongs to."""
    return type(provider).__module__.removeprefix("snakemake_storage_plugin_").partition(".")[0]
