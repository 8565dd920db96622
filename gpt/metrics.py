"""What Prometheus can know of gpt: tokens, and how long the first one takes."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

TOKENS = Counter("frigo_gpt_tokens_total", "Tokens read and written", ["model", "kind"])
FIRST_TOKEN = Histogram(
    "frigo_gpt_first_token_seconds",
    "Seconds from the request to its first piece of answer",
    ["model"],
    buckets=(0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
