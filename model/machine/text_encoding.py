"""The encoding of paths and of what a program prints."""

import codecs
import io
import os
import sys


def use_unicode() -> None:
    r"""Let a program read and print every path and every text, whatever the locale; to be called first of all.

    Under a locale of ASCII, as LC_ALL=C in a container or a cron job, the program begins anew in Python's UTF-8 mode,
    and so do the processes that it starts. Where standard output has another encoding, characters that it lacks are
    printed as \uXXXX.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name == "ascii":
        program = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.execve(sys.executable, program, {**os.environ, "PYTHONUTF8": "1"})
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
