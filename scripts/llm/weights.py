"""Model folders: config.json, tokenizer files and weights as safetensors, one file or shards, and an index beside it.

A model is a folder ``<name>/`` and a file ``<name>.index.json`` with the digest of every file in it: Snakemake sees
that a folder was made again, the index says whether its content changed, and every reader checks it.
"""

import hashlib
import json
import shutil
from pathlib import Path

from scripts.common.atomic import write_json
from scripts.common.errors import StudyError
from scripts.common.results import read_json

# number formats as safetensors names them
FORMATS = {
    "torch.float64": "F64",
    "torch.float32": "F32",
    "torch.bfloat16": "BF16",
    "torch.float16": "F16",
    "torch.int64": "I64",
    "torch.int32": "I32",
    "torch.uint8": "U8",
}
SINGLE, SHARDED = "model.safetensors", "model.safetensors.index.json"


class Weights:
    """The tensors of a model folder, read one by one; nothing is held in memory."""

    def __init__(self, folder):
        """Open ``folder``; StudyError where config.json or the weights are missing."""
        self.folder = Path(folder)
        self.config = read_config(folder)
        self._files = self._locate()
        self._open = {}

    def _locate(self):
        """``{tensor: file}``."""
        from safetensors import safe_open

        index = self.folder / SHARDED
        if index.exists():
            return json.loads(index.read_text())["weight_map"]
        if not (self.folder / SINGLE).exists():
            raise StudyError(f"{self.folder} has no {SINGLE} and no {SHARDED}; only safetensors are read")
        with safe_open(self.folder / SINGLE, framework="pt") as file:
            return dict.fromkeys(file.keys(), SINGLE)

    @property
    def names(self):
        """The names of all tensors, sorted."""
        return sorted(self._files)

    def shape(self, name):
        """The shape of a tensor, a tuple, without reading it."""
        return tuple(self._file(name).get_slice(name).get_shape())

    def dtype(self, name):
        """The number format of a tensor as safetensors writes it: F32, BF16, F16, ..."""
        return self._file(name).get_slice(name).get_dtype()

    def read(self, name):
        """A tensor as a torch.Tensor in its own number format."""
        return self._file(name).get_tensor(name)

    def _file(self, name):
        from safetensors import safe_open

        file = self._files[name]
        if file not in self._open:
            self._open[file] = safe_open(self.folder / file, framework="pt")
        return self._open[file]


class Writer:
    """Writes tensors one by one into one file, or into shards with an index once they are larger than ``shard_bytes``.

    No tensor is held: its bytes go to the disk at once, and the header of a safetensors file, which has to name all
    places, is put before them at the end (the format: github.com/huggingface/safetensors).
    """

    def __init__(self, folder, shard_bytes=50 * 10**9):
        self.folder, self.shard_bytes = Path(folder), shard_bytes
        self.folder.mkdir(parents=True, exist_ok=True)
        self._part = self.folder / ".tensors.part"
        self._shards, self._places, self._bytes, self._total = [], {}, 0, 0

    def add(self, name, tensor):
        """Take a torch.Tensor."""
        import torch

        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        if self._places and self._bytes + content.size > self.shard_bytes:
            self._flush()
        with open(self._part, "ab") as data:
            data.write(content)
        begin, self._bytes = self._bytes, self._bytes + content.size
        about = {"dtype": FORMATS[str(tensor.dtype)], "shape": list(tensor.shape)}
        self._places[name] = about | {"data_offsets": [begin, self._bytes]}
        self._total += content.size

    def close(self):
        """Complete the last file, give all their final names, and write the index of shards if there are several."""
        self._flush()
        if len(self._shards) == 1:
            (self.folder / self._shards[0][0]).rename(self.folder / SINGLE)
            return
        places = {}
        for number, (temporary, names) in enumerate(self._shards, 1):
            final = f"model-{number:05d}-of-{len(self._shards):05d}.safetensors"
            (self.folder / temporary).rename(self.folder / final)
            places |= dict.fromkeys(names, final)
        content = {"metadata": {"total_size": self._total}, "weight_map": dict(sorted(places.items()))}
        (self.folder / SHARDED).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")

    def _flush(self):
        """Header and bytes of the shard at hand as a file."""
        if not self._places:
            return
        header = json.dumps({"__metadata__": {"format": "pt"}} | self._places, separators=(",", ":")).encode()
        header += b" " * (-len(header) % 8)
        name = f"shard-{len(self._shards)}.safetensors"
        with open(self.folder / name, "wb") as file, open(self._part, "rb") as data:
            file.write(len(header).to_bytes(8, "little") + header)
            shutil.copyfileobj(data, file, 1 << 22)
        self._part.unlink()
        self._shards.append((name, list(self._places)))
        self._places, self._bytes = {}, 0


def read_config(folder):
    """The config.json of a model folder, a dict."""
    path = Path(folder) / "config.json"
    if not path.exists():
        raise StudyError(f"{folder} is no model folder: it has no config.json")
    return read_json(path)


def digests(folder):
    """``{file: {"sha256", "size"}}`` of all files in a model folder."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith("."))
    return {
        path.relative_to(folder).as_posix(): {"sha256": sha256(path), "size": path.stat().st_size} for path in files
    }


def write_index(folder, path, body):
    """Write a model folder's index: schema ``model/1``, ``body`` and the files' digests.

    Without the fingerprints of code and config that other results have: everything after the model hangs on its index,
    and a package that is new and gives the same weights has to train nothing again.
    """
    write_json(path, {"schema": "quantmake/model/1", **body, "files": digests(folder)})


def check(folder, index):
    """The index of a model folder, once every file in it is as the index says; StudyError otherwise."""
    known = read_json(index)
    found = digests(folder)
    for name in sorted({*known["files"], *found}):
        if known["files"].get(name) != found.get(name):
            what = "is gone" if name not in found else "is not listed" if name not in known["files"] else "was altered"
            raise StudyError(f"{folder}/{name} {what} since it was made; delete {folder} and run again")
    return known


def sha256(path):
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
