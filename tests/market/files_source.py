"""The settings of a files source with all defaults, as a job has them in its params."""

from scripts.market.settings import Files


def settings(**changes):
    """``source`` of kind files; ``columns`` are laid over the default ones."""
    return Files(kind="files", path="data", **changes).model_dump(mode="json")
