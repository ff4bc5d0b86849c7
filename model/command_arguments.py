"""The arguments of a command line, with what a shell leaves as it is."""

import re
from collections.abc import Sequence
from pathlib import Path

_HOME_VALUE = re.compile(r"(--[\w.-]+=)~(?=/|$)")


def expand_home(arguments: Sequence[str]) -> list[str]:
    """The arguments, with the home folder in place of ~ in --flag=~/x, where a shell does not put it.

    Raises:
        RuntimeError: the user has no home folder.
    """
    return [_HOME_VALUE.sub(lambda found: found[1] + str(Path.home()), argument) for argument in arguments]
