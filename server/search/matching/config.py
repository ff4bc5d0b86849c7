"""The configuration that the server sends the matcher's process when it starts."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from server.telemetry.logs import LogFormat


@dataclass(frozen=True)
class MatcherConfig:
    """The matcher that a process serves, and the index whose catalog it knows.

    Args:
        matcher: folder that `python -m retrieval train-matcher` wrote.
        index: folder or URL.
    """

    matcher: str
    index: str
    log_format: LogFormat

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """From what `to_json` returned."""
        return cls(**values)
