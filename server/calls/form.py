"""Other forms of requests and answers than the contract's messages, such as JSON."""

from collections.abc import Callable
from typing import NamedTuple


class TranslatedRequest(NamedTuple):
    """A request that came in another form.

    Args:
        content: a serialised ClassifyRequest.
        write: brings the serialised ClassifyResponse to it into the form of its caller.
    """

    content: bytes
    write: Callable[[bytes], bytes]


#: Translates a request; raises RequestError for what is none.
Form = Callable[[bytes], TranslatedRequest]
