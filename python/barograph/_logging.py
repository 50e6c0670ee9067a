"""Records of :mod:`logging` as marks."""

from __future__ import annotations

import logging

from . import _native


class LogHandler(logging.Handler):
    """Makes a mark of each record of the log: its message is the name, level, logger and place are attributes, an exception is the detail.

    ::

        logging.getLogger().addHandler(barograph.LogHandler(logging.WARNING))

    Where nobody records it does next to nothing. It never raises, and prints nothing.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Called by :mod:`logging`."""
        if not _native.is_on():
            return
        try:
            said = self.format(record) if self.formatter else record.getMessage()
            attributes: dict[str, object] = {
                "level": record.levelname,
                "logger": record.name,
                "file": record.pathname,
                "line": record.lineno,
            }
            _native.mark(said, _exception(record), attributes)
        except RecursionError:
            raise
        except Exception:
            # Whatever a record's arguments do when they are made text, the job is not what pays for it.
            pass


def _exception(record: logging.LogRecord) -> str | None:
    if not isinstance(record.exc_info, tuple) or record.exc_info[0] is None:
        return None
    kind, exception, _ = record.exc_info
    return f"{kind.__name__}: {exception}"
