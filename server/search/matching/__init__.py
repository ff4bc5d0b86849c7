"""The matcher beside the search: a process of its own that compares pairs of products, and its keeper in the server."""
