"""Messages to and from a program inside: JSON objects with their length in front.

The program inside may be hostile. Its messages are bounded, and never unpickled.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

LONGEST = 64 << 20
"""The longest message in bytes."""


class Garbled(Exception):
    """What the program inside has sent is no message."""


class Channel:
    """The caller's end of a channel. Reads never block."""

    def __init__(self) -> None:
        self._own, self.theirs = socket.socketpair()
        self._received = b""
        self._ended = False

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._own.fileno()

    def send(self, message: dict[str, Any], timeout: float | None) -> None:
        """Send a message. Raises OSError if the other end is gone or takes too long."""
        body = json.dumps(message).encode()
        self._own.settimeout(timeout)
        self._own.sendall(struct.pack("<I", len(body)) + body)

    def receive(self) -> dict[str, Any] | None:
        """Return a whole message, if one has arrived.

        Raises Garbled if what arrives is none, and EOFError at the end of the channel.
        """
        self._fill()
        if len(self._received) >= 4:
            length = struct.unpack_from("<I", self._received)[0]
            if length > LONGEST:
                raise Garbled
            if len(self._received) >= 4 + length:
                body, self._received = self._received[4 : 4 + length], self._received[4 + length :]
                try:
                    message = json.loads(body)
                except (ValueError, RecursionError):
                    raise Garbled from None
                if not isinstance(message, dict):
                    raise Garbled
                return message
        if self._ended:
            raise EOFError
        return None

    def _fill(self) -> None:
        self._own.settimeout(0)
        while len(self._received) < LONGEST + 4:
            try:
                piece = self._own.recv(1 << 20)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            if not piece:
                self._ended = True
                return
            self._received += piece

    def clear(self) -> None:
        """Forget what has arrived: it came from a state that is gone."""
        self._fill()
        self._received = b""

    def close(self) -> None:
        """Close both ends."""
        self._own.close()
        self.theirs.close()
