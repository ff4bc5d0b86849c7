"""The command `python -m server.search.matching`, the matcher's process; only the server starts it.

Argument: the number of the inherited connection to the server. The first frame holds a `MatcherConfig`, every other a
`PairBatch`. The process ends when the server closes the connection.
"""

import signal
import socket
import sys

from model.machine.worker_process import end_with_parent

if __name__ == "__main__":  # before the imports: signals to the whole group are the server's to handle
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()

from model.errors import AisleError
from model.machine.thread_priority import lower_thread_priority
from server.engine.frames import Frame, pack, receive
from server.search.matching.config import MatcherConfig
from server.search.matching.pair_batch import PairBatch
from server.search.matching.pair_comparer import PairComparer
from server.telemetry.logs import configure_logging

#: As that of the engine processes: who talks to callers goes first.
_NICENESS = 5


def main(connection_number: int) -> None:
    """Load a matcher and answer frames."""
    with socket.socket(fileno=connection_number) as connection:
        first = receive(connection)
        if first is None:
            return
        config = MatcherConfig.from_json(first.header)
        configure_logging(config.log_format)
        lower_thread_priority(_NICENESS)
        try:
            comparer = PairComparer.open(config)
            connection.sendall(pack(_description(comparer)))
            while (frame := receive(connection)) is not None:
                connection.sendall(pack(comparer.answer(PairBatch.from_frame(frame)).to_frame()))
        except AisleError as error:
            connection.sendall(pack(Frame({"failed": str(error)})))
        except OSError:  # the server is gone
            return


def _description(comparer: PairComparer) -> Frame:
    found = comparer.matcher.description
    return Frame(
        {
            "learned_from": found.learned_from,
            "precision": found.precision,
            "confidence": found.confidence,
            "threshold": found.promised_threshold,
            "embedding_checksum": found.embedding_checksum,
            "num_products": len(comparer.context.positions),
        }
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
