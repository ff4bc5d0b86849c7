"""The command `python -m server.engine`, an engine process; only the server starts it.

Arguments: the numbers of two inherited files, the connection to the server and the memory of `Progress`. The first
frame holds an `EngineConfig`. The process ends when the server closes the connection, or at once after it has said
which engine "auto" is: measuring leaves more libraries in memory than serving needs.
"""

import signal
import socket
import sys

from model.machine.worker_process import end_with_parent

if __name__ == "__main__":  # before the imports: signals to the whole group are the server's to handle
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()

from model.machine.memory import return_freed_memory
from model.machine.thread_priority import lower_thread_priority
from server.engine.config import EngineConfig
from server.engine.frames import receive
from server.engine.progress import Progress
from server.engine.worker import Worker, end_process
from server.telemetry.logs import configure_logging

#: The process that talks to callers goes first: then more waits for an engine's next batch, and a text takes a third
#: less of its time.
_NICENESS = 5


def main(connection_number: int, progress_number: int) -> None:
    """Load a bundle and answer frames."""
    with socket.socket(fileno=connection_number) as connection:
        first = receive(connection)
        if first is None:
            return
        config = EngineConfig.from_json(first.header)
        configure_logging(config.log_format)
        return_freed_memory()
        lower_thread_priority(_NICENESS)
        worker = Worker(connection, Progress(progress_number), config)
        try:
            if config.engine == "auto":
                worker.choose_engine()
                return
            worker.load()
            worker.run()
        except OSError:  # the server is gone
            return
        except BaseException as error:  # whatever an engine raises
            worker.end(error)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
    end_process(0)
