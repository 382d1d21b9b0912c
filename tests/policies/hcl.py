"""Reads the Vault policies of this repository, and makes their mutants.

Not HCL as such: the shape that ``bao policy fmt`` gives, and an error for anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

CAPABILITIES = ("create", "read", "update", "patch", "delete", "list")
_BLOCK = re.compile(
    r'path "(?P<path>[^"]+)" \{\n  capabilities = \[(?P<can>[^\]]+)\]\n(?P<rest>(?:  .*\n)*)\}\n'
)


@dataclass(frozen=True)
class Block:
    """What a policy says about one path; ``rest`` is the lines that limit its parameters."""

    path: str
    can: tuple[str, ...]
    rest: str = ""

    def __str__(self) -> str:
        listed = ", ".join(f'"{one}"' for one in self.can)
        return f'path "{self.path}" {{\n  capabilities = [{listed}]\n{self.rest}}}\n'

    @property
    def head(self) -> str:
        """The path above."""
        return self.path.removesuffix("/*").rpartition("/")[0]

    @property
    def sample(self) -> str:
        """A path that the block is about."""
        return self.path.removesuffix("*") + "claude" if self.path.endswith("*") else self.path


def read(text: str) -> tuple[Block, ...]:
    """Give the blocks of a policy."""
    plain = re.sub(r"^#.*\n|^\n", "", text, flags=re.MULTILINE)
    found = [
        Block(one["path"], tuple(re.findall(r'"(\w+)"', one["can"])), one["rest"])
        for one in _BLOCK.finditer(plain)
    ]
    assert "".join(map(str, found)) == plain, "a shape that this reader does not know"
    return tuple(found)


def text(blocks: tuple[Block, ...]) -> str:
    return "\n".join(map(str, blocks))


def narrowed(blocks: tuple[Block, ...]) -> Iterator[tuple[str, str]]:
    """Give the policy without one capability, or one parameter that it lets through."""
    for place, block in enumerate(blocks):
        for one in block.can:
            left = tuple(other for other in block.can if other != one)
            instead = (replace(block, can=left),) if left else ()
            yield f"{one} of {block.path}", text(blocks[:place] + instead + blocks[place + 1 :])

        lines = re.findall(r"^    .*\n", block.rest, re.MULTILINE)
        for line in lines if len(lines) > 1 else ():  # an empty list would allow every parameter
            instead = (replace(block, rest=block.rest.replace(line, "")),)
            why = f"{line.split()[0]} of {block.path}"
            yield why, text(blocks[:place] + instead + blocks[place + 1 :])


def widened(blocks: tuple[Block, ...]) -> Iterator[tuple[str, str]]:
    """Give the policy with every capability on one path, a shorter path, or free parameters."""
    for place, block in enumerate(blocks):
        wider = {
            f"everything on {block.path}": replace(block, can=CAPABILITIES),
            f"{block.head}/* for {block.path}": replace(block, path=f"{block.head}/*", rest=""),
        }
        if block.path.endswith("/*"):
            near = block.path.removesuffix("/*") + "*"
            wider[f"{near} for {block.path}"] = replace(block, path=near)
        if block.rest:
            wider[f"any parameter of {block.path}"] = replace(block, rest="")
        for why, instead in wider.items():
            yield why, text((*blocks[:place], instead, *blocks[place + 1 :]))
