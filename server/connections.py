"""Settings of gRPC's connections: sizes, keepalive, idleness and age."""

from server.settings import ServerSettings

_FOR_EVER = 2**31 - 1  # what gRPC takes for no limit of a time

Option = tuple[str, int]


def connection_options(settings: ServerSettings) -> list[Option]:
    """Return the channel arguments of the server.

    gRPC's own limits lie above those of `OpenCalls` and `Calls`, because what gRPC refuses it neither counts nor
    explains; but for that of a connection, without which a flood on it costs more to reject than there is.
    """
    num_open = settings.max_open_streams + settings.max_watches + settings.max_arriving_requests
    num_pending = num_open + settings.max_concurrent_rpcs
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", settings.max_calls_per_connection),
        ("grpc.so_reuseport", 0),  # otherwise a second server would share the port silently
        ("grpc.server.max_pending_requests", num_pending),
        ("grpc.server.max_pending_requests_hard_limit", 2 * num_pending),
        ("grpc.keepalive_time_ms", _ms(settings.keepalive_s)),
        ("grpc.keepalive_timeout_ms", _ms(settings.keepalive_timeout_s)),
        ("grpc.http2.ping_timeout_ms", _ms(settings.keepalive_timeout_s)),  # else a minute, whatever keepalive says
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),  # a caller that vanished sends no data between pings
        ("grpc.http2.min_ping_interval_without_data_ms", round(settings.min_ping_interval_s * 1000)),
        ("grpc.max_connection_idle_ms", _ms(settings.max_connection_idle_s)),
        ("grpc.max_connection_age_ms", _ms(settings.max_connection_age_s)),
        ("grpc.max_connection_age_grace_ms", _ms(settings.max_connection_age_grace_s)),
    ]


def _ms(seconds: float) -> int:
    """Milliseconds; 0 means no limit."""
    return min(max(round(seconds * 1000), 1), _FOR_EVER) if seconds else _FOR_EVER
