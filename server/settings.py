"""Settings of the server; tyro builds the command line from them."""

from dataclasses import dataclass
from pathlib import Path

from model.engines.engine import EngineName, Precision
from model.errors import SettingsError
from server.telemetry.logs import LogFormat

#: Categories of a prediction where the request says 0.
DEFAULT_TOP_K = 5

_AT_LEAST_ONE = (
    "max_concurrent_rpcs",
    "max_calls_per_connection",
    "max_open_streams",
    "max_watches",
    "max_arriving_requests",
    "max_message_bytes",
    "max_products_per_request",
    "max_top_k",
    "max_text_chars",
    "max_request_chars",
    "max_request_pixels",
    "max_batch_items",
    "max_queue_bytes",
    "stream_window",
    "loaded_versions",
)
_AT_LEAST_ZERO = (
    "matcher_refresh_s",
    "search_threads",
    "engine_processes",
    "engine_threads",
    "decode_threads",
    "max_batch_images",
    "max_image_pixels",
    "max_memory_bytes",
    "max_queue_delay_ms",
    "stream_idle_s",
    "message_timeout_s",
    "keepalive_s",
    "min_ping_interval_s",
    "max_connection_idle_s",
    "max_connection_age_s",
    "max_connection_age_grace_s",
    "image_cache_bytes",
    "drain_delay_s",
    "grace_s",
    "model_poll_s",
)


@dataclass(frozen=True)
class ServerSettings:
    """Serve bundles over gRPC. Give either --models or --bundle.

    Raises:
        SettingsError: a value is out of range or two of them contradict each other.
    """

    models: Path | None = None
    """A folder of models/<name>/<version>/; the newest version of each is served."""
    bundle: Path | None = None
    """A single bundle."""
    index: str | None = None
    """An index of products, or a folder of <version>/ of them: folder or postgresql:// URL. Serves ProductSearch."""
    matcher: Path | None = None
    """A matcher of python -m retrieval train-matcher, which answers SameProduct; needs --index."""
    matcher_refresh_s: float = 600.0
    """Interval between looks whether the index has changed; then the matcher reads anew what is rare and near in it,
    seconds. 0 reads it at the start only."""
    write_token_file: Path | None = None
    """File of bearer tokens whose callers may change the index, one a line; without it nobody may. Read again when it
    changes."""
    search_threads: int = 0
    """Searches of the index at the same time; 0 means one per core."""
    loaded_versions: int = 1
    """Newest versions of each model kept loaded; calls may pin any of them."""
    model_poll_s: float = 2.0
    """Interval between scans of --models for new and removed versions, seconds; 0 scans only at the start."""
    host: str = "0.0.0.0"
    """Address to listen on."""
    port: int = 50051
    """Port to listen on; 0 takes a free one."""
    http_port: int | None = None
    """Port of --host for JSON over HTTP, with the limits, TLS and tokens of the gRPC port; 0 takes a free one, None
    listens for none. Needs aiohttp."""
    tls_certificate: Path | None = None
    """PEM file of the server's certificate chain; turns TLS on. Read again when it changes."""
    tls_private_key: Path | None = None
    """PEM file of its private key."""
    tls_client_ca: Path | None = None
    """PEM file of the authority that must have signed callers' certificates (mutual TLS)."""
    token_file: Path | None = None
    """File of bearer tokens, one a line; calls need one of them, health checks do not. Read again when it changes."""
    engine: EngineName = "auto"
    """Inference engine; auto takes Keras where it finds a GPU, else the quicker one of OpenVINO and ONNX Runtime, as
    measured for a second with the bundle."""
    precision: Precision = "float32"
    """Arithmetic inside the engine; auto takes bfloat16 where the device computes in it: quicker, and picture
    features differ by some percent from those that the model was calibrated on."""
    engine_processes: int = 0
    """Processes that answer, each with an engine of its own; 0 means one per core on a CPU, one for a GPU or Keras."""
    engine_threads: int = 0
    """Threads of each process's engine on a CPU; more make a single request quicker, and all together slower. 0 is one;
    with Keras, whose backend has all cores, there is no other."""
    map_weights: bool = False
    """Let ONNX Runtime's processes share the pages of the bundle's files in place of a copy each. A file that is cut
    off while it is served then ends them: put new versions beside old ones, never in their place."""
    decode_threads: int = 0
    """Threads of each process that decode pictures; 0 means the engine's own thread on a CPU, one per core for a
    GPU."""
    max_concurrent_rpcs: int = 1024
    """Most calls, and messages of streams, being answered at a time; more are rejected with RESOURCE_EXHAUSTED. While
    many are in flight, so are those that would take more than half of the time that callers' deadlines allow."""
    max_calls_per_connection: int = 2048
    """Most calls and streams open on one connection; gRPC has the caller's library wait with more, or refuses them with
    UNAVAILABLE at next to no cost, so that a caller who sends more than can even be rejected stops nobody."""
    max_open_streams: int = 4096
    """Most streams of ClassifyStream open; more are rejected. A stream takes a place of --max-concurrent-rpcs for each
    of its messages that is being answered, and none while it is silent."""
    max_watches: int = 4096
    """Most health watches and reflection streams open; more are rejected."""
    max_arriving_requests: int = 4096
    """Most requests whose message is still arriving; when one more comes, the one that has waited longest is
    rejected."""
    message_timeout_s: float = 120.0
    """Longest time for the message of a request to arrive, seconds; after it the call ends with UNAVAILABLE. 0 waits
    for ever."""
    stream_idle_s: float = 3600.0
    """Longest time for which a stream may send nothing, seconds; after it the stream ends with UNAVAILABLE. 0 lets it
    be silent for ever."""
    keepalive_s: float = 20.0
    """Time without a word on a connection after which the server asks whether the caller is still there, seconds; 0
    never asks."""
    keepalive_timeout_s: float = 20.0
    """Time for the caller to answer that, seconds; after it the connection is closed, and its calls count as left."""
    min_ping_interval_s: float = 5.0
    """Least time between keepalive pings of a caller, with or without calls in flight, seconds; a caller that asks more
    often is disconnected with ENHANCE_YOUR_CALM."""
    max_connection_idle_s: float = 0.0
    """Longest time of a connection without calls, seconds; then it is closed, and opened again by the caller's library
    when needed. 0 keeps it."""
    max_connection_age_s: float = 0.0
    """Age of a connection, with 10 % of chance in it, at which the caller's library is told to open another one, so
    that load spreads to new servers, seconds; 0 keeps it."""
    max_connection_age_grace_s: float = 60.0
    """Time for the calls of such a connection to end, seconds; after it they end with UNAVAILABLE. 0 waits for all."""
    max_message_bytes: int = 64 * 1024 * 1024
    """Largest request message, bytes."""
    max_products_per_request: int = 512
    """Most products in one request."""
    max_top_k: int = 100
    """Most categories a product may ask for."""
    max_text_chars: int = 10_000
    """Longest text of a product, characters."""
    max_request_chars: int = 50_000_000
    """Most characters of all texts of a request; with include_words each word of a name counts the name once more."""
    max_image_pixels: int = 0
    """Most pixels of a picture; 0 leaves it to the bundle, which says 50,000,000 by default."""
    max_request_pixels: int = 4_000_000_000
    """Most pixels of the large pictures of a request together: of those with more than 4,000,000."""
    max_memory_bytes: int = 0
    """Most memory of messages in flight, queued products and large pictures being decoded together, bytes; what does
    not fit waits or is rejected. 0 takes 60 % of what the container or machine has beside the loaded models."""
    max_batch_items: int = 128
    """Most products without a picture in one batch; larger requests are split."""
    max_batch_images: int = 0
    """Most products with a picture in one batch; 0 chooses by engine and device."""
    max_queue_items: int = 8192
    """Most queued products without a picture; more are rejected with RESOURCE_EXHAUSTED."""
    max_queue_images: int = 1024
    """Most queued products with a picture; more are rejected."""
    max_queue_bytes: int = 512 * 1024 * 1024
    """Most bytes of queued products in either queue; more are rejected."""
    image_cache_bytes: int = 0
    """Bytes of the cache of picture features, keyed by content, for each loaded version; a picture in the cache is
    neither decoded nor encoded again. 0 turns it off."""
    max_queue_delay_ms: float = 1.0
    """Longest that an idle engine waits for a batch to fill, milliseconds; it does not wait while as many products are
    here as at most in the last moments, for then no caller is expected. 0 starts with what is queued."""
    stream_window: int = 4
    """Messages of one stream processed at the same time."""
    engine_timeout_s: float = 10.0
    """Longest time of a batch, seconds; after it the engine counts as hanging, and its model is NOT_SERVING until the
    engine has been restarted."""
    drain_delay_s: float = 2.0
    """Time after SIGTERM in which calls are still answered while health reports NOT_SERVING, so that load balancers
    notice, seconds."""
    grace_s: float = 30.0
    """Time for running calls to end after the drain delay, seconds."""
    metrics_port: int | None = None
    """Port of --host that serves /metrics to Prometheus by HTTP; 0 takes a free one, None serves no metrics."""
    otlp_endpoint: str | None = None
    """Collector that receives OpenTelemetry spans by OTLP over gRPC, such as http://localhost:4317; needs
    opentelemetry-sdk and opentelemetry-exporter-otlp-proto-grpc."""
    log_format: LogFormat = "text"
    """Format of log lines: text, or one JSON object each."""
    access_log: bool = False
    """Log a line for each call that has ended: method, code, time, products, peer and the caller's x-request-id."""

    def __post_init__(self) -> None:
        if (self.models is None) == (self.bundle is None):
            given = "none" if self.models is None else "both"
            raise SettingsError(f"expected one of --models DIR and --bundle DIR, found {given} of them")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise SettingsError(f"{_flag(name)}: expected 1 or more, found {getattr(self, name)}")
        for name in ("engine_timeout_s", "keepalive_timeout_s"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{_flag(name)}: expected more than 0, found {getattr(self, name)}")
        for name in _AT_LEAST_ZERO:
            if getattr(self, name) < 0:
                raise SettingsError(f"{_flag(name)}: expected 0 or more, found {getattr(self, name)}")
        self._check_files()
        self._check_addresses()
        for name in ("max_queue_items", "max_queue_images"):
            if getattr(self, name) < self.max_products_per_request:
                raise SettingsError(
                    f"{_flag(name)}: expected at least --max-products-per-request ({self.max_products_per_request}),"
                    f" found {getattr(self, name)}; a full request would never fit"
                )

    def _check_files(self) -> None:
        if (self.tls_certificate is None) != (self.tls_private_key is None):
            missing = "--tls-private-key" if self.tls_private_key is None else "--tls-certificate"
            raise SettingsError(f"--tls-certificate and --tls-private-key belong together; {missing} is missing")
        if self.write_token_file is not None and self.index is None:
            raise SettingsError("--write-token-file: expected --index beside it; it says who may change the index")
        if self.matcher is not None and self.index is None:
            raise SettingsError("--matcher: expected --index beside it, whose products it compares")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise SettingsError("--tls-client-ca: expected --tls-certificate and --tls-private-key beside it")

    def _check_addresses(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise SettingsError(f"--port: expected 0 to 65535, found {self.port}")
        for name in ("http_port", "metrics_port"):
            port = getattr(self, name)
            if port is not None and not 0 <= port <= 65_535:
                raise SettingsError(f"{_flag(name)}: expected 0 to 65535 or None, found {port}")
        if self.otlp_endpoint is not None and not self.otlp_endpoint.startswith(("http://", "https://")):
            raise SettingsError(f"--otlp-endpoint: expected http://HOST:PORT or https://, found {self.otlp_endpoint}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
