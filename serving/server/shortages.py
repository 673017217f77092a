"""What a server says when open files are short, before and while they are."""

import asyncio
import errno
import logging
import resource
import time
from typing import Any

from tfmtl.serving.server.limits import Limits

logger = logging.getLogger(__name__)

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_OTHER_FILES = 100  # of models, pools and the log
_QUIET_SECONDS = 10.0


def warn_of_few_files(limits: Limits) -> None:
    """Logs it if the connections that are allowed are more than this process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * limits.max_connections + _OTHER_FILES
    if files != resource.RLIM_INFINITY and files < wanted:
        logger.warning(
            "%d connections are allowed on each of two protocols, but this process may open %d files only. Allow it "
            "%d (ulimit -n), or fewer connections (--max-connections %d).",
            limits.max_connections,
            files,
            wanted,
            max(1, (files - _OTHER_FILES) // 2),
        )


class ShortageHandler:
    """An event loop's exception handler: a shortage is one line in ten seconds, and not a traceback a connection."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _SHORTAGES:
            loop.default_exception_handler(context)
        elif time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            logger.warning(
                "A connection cannot be taken: %s. Allow more open files (ulimit -n), or fewer connections "
                "(--max-connections).",
                error.strerror,
            )
