"""The text mode and buffering of pipes, as in `subprocess`, checked before anything starts."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import IO, Any

_OPTIONS = ("bufsize", "text", "encoding", "errors", "universal_newlines")


class Mode:
    """The mode of a pipe's file object: bytes or text, the encoding, and the buffer size."""

    __slots__ = ("bufsize", "encoding", "errors", "text")

    def __init__(self, text: bool, encoding: str | None, errors: str | None, bufsize: int) -> None:
        self.text, self.encoding, self.errors, self.bufsize = text, encoding, errors, bufsize

    @staticmethod
    def checked(
        bufsize: int | None = -1,
        text: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        universal_newlines: bool | None = None,
    ) -> Mode:
        """Return the mode for these options of `subprocess`."""
        if (
            text is not None
            and universal_newlines is not None
            and bool(text) != bool(universal_newlines)
        ):
            raise ValueError("text and universal_newlines say different things")
        as_text = bool(text or encoding or errors or universal_newlines)
        encoding = io.text_encoding(encoding) if as_text else None
        if bufsize is None:
            bufsize = -1
        if not isinstance(bufsize, int):
            raise TypeError("bufsize must be an integer")
        if bufsize == 1 and not as_text:
            message = "line buffering (bufsize=1) is for text mode: the default buffer size is used"
            warnings.warn(message, RuntimeWarning, stacklevel=4)
        if as_text:
            io.TextIOWrapper(io.BytesIO(), encoding, errors)  # Raises for an unknown encoding.
        return Mode(as_text, encoding, errors, bufsize)

    @staticmethod
    def taken(options: Mapping[str, Any]) -> tuple[Mode, dict[str, Any]]:
        """Return the mode for these options of `Popen`, and the other options."""
        others = dict(options)
        return Mode.checked(
            **{name: others.pop(name) for name in _OPTIONS if name in others}
        ), others

    def open(self, fd: int | None, mode: str) -> IO[Any] | None:
        """Return a file object that owns the descriptor."""
        if fd is None:
            return None
        file: Any = open(fd, mode, -1 if self.bufsize == 1 else self.bufsize)
        if not self.text:
            return file  # type: ignore[no-any-return]
        if mode == "rb":
            return io.TextIOWrapper(file, self.encoding, self.errors)
        return io.TextIOWrapper(
            file, self.encoding, self.errors, write_through=True, line_buffering=self.bufsize == 1
        )
