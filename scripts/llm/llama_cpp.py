"""llama.cpp's own quantizer and converter, for what our converter leaves out: K-quants and other architectures.

The quantizer is a function of the library that llama-cpp-python builds. The converter is a program of llama.cpp's
source tree (convert_hf_to_gguf.py), which no wheel contains; it is looked for in ``$LLAMA_CPP``, then on the PATH.
"""

import ctypes
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.common.errors import StudyError
from scripts.llm import gguf_models
from scripts.llm.weights import Weights, read_config

PACKAGE = "llama-cpp-python==0.3.36"
PROGRAM, COMMAND, VARIABLE = "convert_hf_to_gguf.py", "llama-convert-hf-to-gguf", "LLAMA_CPP"
K_QUANTS = ("Q6_K", "Q5_K_M", "Q4_K_M")
SHOWN = 800  # characters of another program's last words


def convert(folder, path, quant, name, threads=1):
    """Write the model in ``folder`` to ``path`` in any of our quants; returns its ``gguf_models.summary``.

    K-quants are made from a file that holds the weights in their own format, without loss. Raises StudyError, before
    any work, where the library or the converter is needed and missing, and where one of them fails.
    """
    library = quantizer() if quant in K_QUANTS else None
    own = gguf_models.supports(read_config(folder))
    program = None if own else converter(read_config(folder).get("model_type"))
    if library is None:
        _convert(folder, path, quant, name, threads, program)
        return gguf_models.describe(path)
    # one name for all attempts: what a killed job left is overwritten by the next one
    source = Path(path).with_name(f".{Path(path).stem.lstrip('.')}.source.gguf")
    try:
        _convert(folder, source, lossless(folder), name, threads, program)
        quantise(library, source, path, quant, threads)
    finally:
        source.unlink(missing_ok=True)
    return gguf_models.describe(path)


def quantizer():
    """The module ``llama_cpp`` of llama-cpp-python; StudyError with the way to install it where it is missing."""
    try:
        library = importlib.import_module("llama_cpp")
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error)
    else:
        # Snakemake puts the folder of a script on the path, where a module of this very name lies: this one
        if hasattr(library, "llama_model_quantize"):
            return library
        reason = "not installed"
    raise StudyError(
        f"{', '.join(K_QUANTS)} are made by llama.cpp's own quantizer, and the package llama-cpp-python cannot be used "
        f"({reason}). Install it with `pip install {PACKAGE}` (built from source, some 25 minutes on two cores), or "
        f"keep to {', '.join(gguf_models.QUANTS)} in export.quants"
    )


def converter(architecture):
    """The command of llama.cpp's converter, a list; StudyError with the way to get it where it is missing."""
    root = os.environ.get(VARIABLE)
    if root and (Path(root) / PROGRAM).exists():
        return [sys.executable, str(Path(root) / PROGRAM)]
    if program := shutil.which(PROGRAM):
        return [sys.executable, program]
    if program := shutil.which(COMMAND):
        return [program]
    raise StudyError(
        f"our own converter knows {gguf_models.ARCHITECTURE} only, this is a {architecture} model, and llama.cpp's "
        f"converter is not there. Get its source with `pip download --no-deps --no-binary llama-cpp-python {PACKAGE}`, "
        f"unpack it, and set {VARIABLE} to its folder vendor/llama.cpp; K-quants need `pip install {PACKAGE}` besides"
    )


def lossless(folder):
    """F16 or BF16 where all matrices of the model in ``folder`` have that format, else F32."""
    weights = Weights(folder)
    kinds = {weights.dtype(name) for name in weights.names if len(weights.shape(name)) > 1}
    return kinds.pop() if kinds in ({"F16"}, {"BF16"}) else "F32"


def quantise(library, source, path, quant, threads):
    """Run llama.cpp's quantizer on the GGUF file ``source``; ``library`` is :func:`quantizer`'s."""
    params = library.llama_model_quantize_default_params()
    params.nthread = threads
    params.ftype = getattr(library, f"LLAMA_FTYPE_MOSTLY_{quant}")
    library.llama_backend_init()
    code = library.llama_model_quantize(os.fsencode(source), os.fsencode(path), ctypes.byref(params))
    if code or not Path(path).exists():
        raise StudyError(f"llama.cpp's quantizer could not make {quant} (code {code}); the job's log has its words")


def _convert(folder, path, quant, name, threads, program):
    if program is None:
        gguf_models.convert(folder, path, quant, name, threads)
    else:
        _run_converter(program, folder, path, quant, name)


def _run_converter(program, folder, path, quant, name):
    """Run llama.cpp's converter on a link called ``name``: it takes metadata from the name of the folder."""
    with TemporaryDirectory() as temporary:
        link = Path(temporary) / name
        link.symlink_to(Path(folder).resolve(), target_is_directory=True)
        command = [*program, str(link), "--outfile", str(path), "--outtype", quant.lower(), "--model-name", name]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout)
    if done.returncode or not Path(path).exists():
        raise StudyError(f"llama.cpp's converter failed on {folder}: ...{done.stdout[-SHOWN:].strip()}")
