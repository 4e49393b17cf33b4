"""A published model, by the commit of its repository; the cache is used first, and alone when offline."""

from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.job import progress
from scripts.llm import weights
from scripts.llm.bases import local

TRAINS = False
# not *.safetensors: some repositories have the same weights twice (consolidated.safetensors)
PATTERNS = ["model*.safetensors", weights.SHARDED, *local.NEEDED, *local.OPTIONAL]


def build(settings, inputs, folder, *, seed, threads):
    """Fetch the files of one commit and copy them; see the package. HF_HOME, HF_HUB_OFFLINE and HF_TOKEN are heeded."""
    source = fetch(settings["id"], settings["revision"])
    # the cache's files are named by their content and never changed: a model of 15 GB need not be there twice
    facts = local.take(Path(source), Path(folder), f"{settings['id']} at {settings['revision'][:12]}", copy=local.link)
    return facts | {"id": settings["id"], "revision": settings["revision"]}


def fetch(name, revision):
    """The folder with the files of a commit. StudyError when they cannot be had, with what to do."""
    from huggingface_hub import errors, snapshot_download

    progress.info("fetching %s at %s (what the cache has is not fetched again)", name, revision[:12])
    try:
        return snapshot_download(name, revision=revision, allow_patterns=PATTERNS)
    except errors.GatedRepoError:
        reason = (
            f"its owner wants you to accept terms: do so at https://huggingface.co/{name} and set HF_TOKEN to a token "
            "of the same account"
        )
    except errors.RepositoryNotFoundError:
        reason = "there is no repository of this name, or it is private: then set HF_TOKEN to a token that may read it"
    except errors.RevisionNotFoundError:
        reason = f"the repository has no commit {revision}: take the full hash of one from its history of commits"
    except errors.LocalEntryNotFoundError:
        reason = (
            "it is not (or not wholly) in the cache, and the hub cannot be reached or HF_HUB_OFFLINE is set; run `hf "
            f"download {name} --revision {revision}` where there is a network, and copy the folder that HF_HOME names "
            "(~/.cache/huggingface) here"
        )
    except errors.HTTPError as error:
        answer = getattr(error, "response", None)
        told = f"the hub answered {answer.status_code}" if answer is not None else f"{type(error).__name__}: {error}"
        reason = f"{told}; run again later, what was fetched is kept"
    except errors.HFValidationError as error:
        reason = str(error)
    raise StudyError(f"{name} at {revision[:12]} cannot be fetched: {reason}")
