"""The settings of reranking: who reranks, at what cost, what an experiment may do, and what /rerank takes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.config.fields import Section


class RerankingConfig(Section):
    reranker_mode: Literal["none", "local", "learning", "cloud"] = Field(
        "learning",
        description="none: the fused order; local: a Hugging Face cross-encoder as it is; learning: the corpus's "
        "champion, trained here, and until there is one the order before any label; cloud: a rerank service.",
    )
    reranker_cloud_provider: Literal["cohere", "voyage", "jina", "tei"] | None = Field(
        None,
        description="Whose form of request mode cloud speaks, and, where reranker_cloud_url is not set, whose service "
        "is asked. tei: Text Embeddings Inference, at your own address. Keys come from the environment only.",
    )
    reranker_cloud_model: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Model name sent to the rerank service; its price is in data/models.json.",
    )
    reranker_cloud_url: str | None = Field(
        None,
        max_length=1000,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$",
        description="Address of a server that speaks the provider's form, as http://10.0.0.5:8080; a path that does "
        "not end in /rerank gets it. None: the provider's own. No other address is ever asked. "
        "TRIBRID_RERANKER_CLOUD_API_KEY is sent only to the address that the environment names.",
    )
    reranker_cloud_budget_usd: float | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Most that rerank services may cost in a period, dollars; then the fused order is served. Set for "
        "all corpora it counts what all spend, set for one what that one spends. None: no limit.",
    )
    reranker_cloud_budget_period: Literal["day", "month", "total"] = Field(
        "month", description="What the budget is for: a day or a month of the calendar (UTC), or all time."
    )
    reranker_cloud_concurrency: int = Field(
        4, ge=1, le=64, description="Requests that a process has under way at a rerank service at the same time."
    )
    reranker_cloud_retries: int = Field(
        2,
        ge=0,
        le=10,
        description="Times a request is sent again after a 429, a 5xx or a broken line, time permitting.",
    )
    reranker_cloud_batch: int | None = Field(
        None, ge=1, le=1000, description="Documents in a request. None: what the provider takes (tei 32, others 1000)."
    )
    reranker_local_model: str | None = Field(
        None, max_length=1000, description="Hugging Face id or folder of a cross-encoder for mode local."
    )
    tribrid_reranker_topn: int = Field(50, ge=1, le=1000, description="Candidates to rerank (documents).")
    rerank_input_snippet_chars: int = Field(
        2000, ge=50, le=20_000, description="Max characters of a candidate's passage that the reranker reads."
    )
    reranker_timeout_ms: int | None = Field(
        None,
        ge=10,
        le=600_000,
        description="Longest time for reranking, ms: what was not read by then keeps its place below what was, and the "
        "answer says so. None: no limit here; a rerank service is given 10 s.",
    )
    experiment: Literal["off", "interleave", "ab"] = Field(
        "off",
        description="interleave: searches and reranks show a mix of what the champion (if none, what serves then) and "
        "a challenger rank first, until users' feedback tells which is better. ab: each client_id sees one of the two. "
        "Mode learning only.",
    )
    experiment_challenger: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="model_id of the challenger; retrieval: no model, the first stage's order; given: the order in "
        "which the documents of a rerank came, so that only reranks take part. None: the newest model that is not the "
        "champion.",
    )
    experiment_impressions: int = Field(
        10_000,
        ge=1,
        le=10_000_000,
        description="Outcomes (one a client and day, of an A/B one a client) after which an experiment ends without a "
        "difference.",
    )
    experiment_least_clients: int = Field(
        20,
        ge=1,
        le=1_000_000,
        description="Fewest clients whose searches told the two apart before an experiment is decided; all searches "
        "without a client_id are one client's. 1: one person alone decides.",
    )
    experiment_alpha: float = Field(
        0.05, ge=1e-6, le=0.5, description="Chance that an experiment calls one of two equal rankings better."
    )
    experiment_window_s: int = Field(
        1800, ge=1, le=604_800, description="How long after a search its feedback counts in an experiment, seconds."
    )
    experiment_on_win: Literal["report", "promote"] = Field(
        "report", description="What happens when the challenger is better: it is said, or it is promoted."
    )
    rerank_corpus: str | None = Field(
        None,
        max_length=64,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Corpus of calls to /rerank that name none; made at its first use. None: such calls are scored by "
        "reranker_local_model, else by the built-in encoder, and nothing of them is kept.",
    )
    collect_documents: bool = Field(
        True, description="Keep documents that come to /rerank for a corpus that does not know them, to learn from."
    )
    collect_documents_max: int = Field(
        100_000,
        ge=0,
        le=10_000_000,
        description="A corpus with this many documents takes no more from /rerank.",
    )
    rerank_max_documents: int = Field(
        1000, ge=1, le=10_000, description="Most documents in a call to /rerank; more are refused (413)."
    )
    rerank_unknown_model: Literal["refuse", "vendors", "default"] = Field(
        "vendors",
        description="What becomes of a call to /rerank whose model is not there: refuse: a 404 that lists those that "
        "are; vendors: the name of a rerank service's model that data/models.json has is answered by what answers a "
        "call without a model, which says so, any other is refused; default: every name is answered so.",
    )
    rerank_document_chars: int = Field(
        200_000, ge=1000, le=10_000_000, description="Characters of a document that /rerank reads; the answer says so."
    )
    rerank_passages_per_document: int = Field(
        4,
        ge=1,
        le=100,
        description="Passages of a document that /rerank scores, those that share most words with the query; a call "
        "may say max_chunks_per_doc.",
    )
    rerank_cache_mb: int = Field(
        128,
        ge=0,
        le=1_000_000,
        description="Memory for vectors of passages that came to /rerank, kept for the next call, MiB; a passage takes "
        "some 22 kB.",
    )
