"""The ``report`` section of a study's config."""

from pydantic import Field

from scripts.common.settings import Settings


class Report(Settings):
    """What the report says of itself."""

    title: str = Field("quantmake study", description="heading of the report")
    note: str = Field("", description="a paragraph for its readers, shown on the first page")
