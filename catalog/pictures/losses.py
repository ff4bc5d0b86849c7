"""Pictures that cannot be read: their rows count without them, up to a share that says that something else is wrong."""

from dataclasses import dataclass
from pathlib import Path

from catalog.pictures.decoding import picture_fault
from catalog.rejects import Rejects
from catalog.rows import CatalogRow
from model.errors import CatalogError, SettingsError
from model.settings import ImageSettings

#: Share of a catalog's pictures that may be lost, where nothing else is said.
MAX_LOST_PICTURES = ImageSettings.max_lost_pictures
#: Pictures from which a share is judged before the last one is read.
_ENOUGH = 1_000


@dataclass(frozen=True)
class LossCounts:
    """Pictures that were tried, how many of them are lost, and how the first one was."""

    num_pictures: int = 0
    num_lost: int = 0
    example: str = ""


class PictureLosses:
    """Counts and lists the lost pictures of a catalog.

    Args:
        path: the catalog, for messages.
        rejects: lists them; None where the caller does.
        max_share: of its pictures that may be lost, 0 to 1.
        earlier: what an interrupted run has counted.
    Raises:
        SettingsError: `max_share` is no share.
    """

    def __init__(self, path: Path, rejects: Rejects | None, max_share: float, earlier: LossCounts | None = None):
        if not 0 <= max_share <= 1:
            raise SettingsError(f"--max-lost-pictures: expected 0 to 1, found {max_share}")
        self._path, self._rejects, self._max_share = path, rejects, max_share
        counts = earlier or LossCounts()
        self._num_pictures, self._num_lost, self._example = counts.num_pictures, counts.num_lost, counts.example

    @property
    def counts(self) -> LossCounts:
        """The counts so far."""
        return LossCounts(self._num_pictures, self._num_lost, self._example)

    def lose(self, row: CatalogRow, error: object) -> str:
        """List a row that counts without its picture, and return why."""
        self._num_lost += 1
        fault = picture_fault(row.image, error)
        self._example = self._example or fault
        if self._rejects is not None:
            self._rejects.add_lost_picture(self._path, row.line, row.product_id, fault)
        return fault

    def count(self, num_pictures: int) -> None:
        """Count pictures that were tried, lost ones included.

        Raises:
            CatalogError: of enough pictures too many are lost.
        """
        self._num_pictures += num_pictures
        if self._num_pictures >= _ENOUGH:
            self.check()

    def check(self) -> None:
        """Judge the share.

        Raises:
            CatalogError: too many are lost.
        """
        if self._num_lost > self._max_share * self._num_pictures:
            raise CatalogError(
                f"{self._path}: {self._num_lost:,} of {self._num_pictures:,} pictures are lost, such as"
                f" {self._example}; paths are relative to the catalog's folder. Correct them, or allow the loss with"
                " --max-lost-pictures 1"
            )
