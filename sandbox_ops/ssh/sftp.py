"""paramiko's SFTP client, whose threads show no traceback when the link dies."""

import logging
from typing import Any

from paramiko import SFTPClient, SFTPFile, SSHException

_LOG = logging.getLogger(__name__)


class QuietSftpClient(SFTPClient):
    """A download reads ahead in a thread; the reader of the bytes gets its error."""

    def open(self, *args: Any, **options: Any) -> SFTPFile:  # noqa: ANN401
        """Open a file there."""
        file = super().open(*args, **options)
        read_ahead = file._prefetch_thread  # type: ignore[attr-defined]  # noqa: SLF001

        def quietly(*chunks: Any) -> None:  # noqa: ANN401
            try:
                read_ahead(*chunks)
            except (SSHException, EOFError, OSError) as error:
                _LOG.debug("reading ahead ended: %s", error)

        file._prefetch_thread = quietly  # type: ignore[attr-defined]  # noqa: SLF001
        return file
