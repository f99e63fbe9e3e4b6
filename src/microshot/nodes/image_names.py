"""What views call images: their file's name where the table tells it, else their RowID."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from microshot.nodes import columns
from microshot.nodes.tables import is_missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import knime.extension as knext


class ImageNames:
    """The names of a table's images by RowID; tables for the next node keep the RowIDs.

    Names are only used if every image has one of its own: with several folders in one table,
    two files may be called alike.
    """

    def __init__(self, table: knext.Table, known: Iterable[str | None]) -> None:
        column = columns.guess_file_name(table.schema, known)
        self._names: dict[str, str] = {}
        for batch in table.batches() if column else ():
            cells = batch[[column]].to_pyarrow()
            row_ids, names = (cells.column(i).to_pylist() for i in range(2))
            self._names |= dict(zip(map(str, row_ids), names, strict=True))
        if not all_differ(list(self._names.values())):
            self._names = {}

    def of(self, row_id: str) -> str:
        """Return what to call the image of a row."""
        return self._names.get(row_id, row_id)

    def rows(self, rows: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
        """Return copies of rows in which `key`, a RowID, became the image's name."""
        return [{**row, key: self.of(row[key])} for row in rows]

    def named(self, item: Any) -> Any:
        """Return a copy of a dataclass whose `name` is a RowID, called by the image's name."""
        return replace(item, name=self.of(item.name))


def all_differ(names: Sequence[Any]) -> bool:
    """Say whether all cells of a column hold a name, and no two the same."""
    if any(is_missing(n) or not n.strip() for n in names):
        return False
    return len(set(names)) == len(names)
