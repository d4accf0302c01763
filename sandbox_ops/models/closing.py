"""What is closed at the end of a `with`. No I/O."""

import abc
from typing import Self


class Closing(abc.ABC):
    """Has `close`, and a `with` block that ends with it."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give up what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
