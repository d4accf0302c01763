"""Where lines begin in files that somebody pages through. Pure.

Line 9,000,000 of a log is found by reading all before it. Where the page ended is known
then, so the next one need not be searched for.
"""

import collections
import threading
from dataclasses import dataclass

_MARK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line begins, and what lies before it.

    Attributes:
        mark: The bytes before it. A file that has them in this place is taken for the
            one that was read, whatever was appended to it since.
        mark_at: Where these begin, in bytes from the file's beginning.
        inode: Of the file.
    """

    mark: bytes
    mark_at: int
    inode: str


class Places:
    """Places in files by path and line, the latest used. Threads may share it.

    Args:
        most: So many are kept.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._known: collections.OrderedDict[tuple[str, int], Place] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()

    def find(self, path: str, line: int) -> Place | None:
        """Return where the line begins, if that is known."""
        with self._lock:
            place = self._known.get((path, line))
            if place is not None:
                self._known.move_to_end((path, line))
            return place

    def learn(
        self, path: str, *, inode: str, first: int, count: int, data: bytes, at: int
    ) -> None:
        """Remember where a page of whole lines ends.

        Args:
            path: Of the file.
            inode: Of the file.
            first: The number of the page's first line, from 1.
            count: How many lines belong to the page; `data` may hold more, or fewer.
            data: The bytes that were read.
            at: Where they begin.
        """
        lines = data.split(b"\n", count)
        page = data[: len(data) - len(lines[-1])]
        if not page:
            return
        mark = page[-_MARK_BYTES:]
        place = Place(mark=mark, mark_at=at + len(page) - len(mark), inode=inode)
        with self._lock:
            key = (path, first + len(lines) - 1)
            self._known[key] = place
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
