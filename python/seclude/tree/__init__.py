"""The picture of nested pid namespaces: each a box within the one around it, in each its processes as a tree, each process by its
ids outside and inside. `grow` makes it of a `Namespaces`, `lines` draws it in characters, `svg` as an image.

Plain values in, plain values out: nothing here looks at the machine. What processes call themselves is hostile input, of which
`grow` leaves nothing that a terminal would obey.
"""

from .grow import Box, Node, grow
from .lines import lines
from .svg import svg

__all__ = ["Box", "Node", "grow", "lines", "svg"]
