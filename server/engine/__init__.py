"""The engine process: one engine, decoder and tokenizer that answer parts of requests."""
