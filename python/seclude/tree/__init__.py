"""Pictures of nested pid namespaces: boxes within boxes, with the process tree in each.

Each process is shown with its ids outside and inside. `grow` makes the picture from a `Namespaces`,
`lines` draws it in characters, and `svg` as an image. These functions do not inspect the machine.

Process names are hostile input. `grow` removes everything that could control a terminal.
"""

from .grow import Box, Node, grow
from .lines import lines
from .networks import networks
from .svg import svg

__all__ = ["Box", "Node", "grow", "lines", "networks", "svg"]
