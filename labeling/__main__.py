"""The entry point of `python -m labeling COMMAND`."""

import sys

if __name__ == "__main__":  # worker processes import this file again
    from model.machine.text_encoding import use_unicode

    use_unicode()
    from labeling.commands.command_line import main

    sys.exit(main(sys.argv[1:]))
