"""Every table, and the facts the database itself keeps: keys, cascades, one running job per corpus.

A change here needs a migration in `migrations/versions`; a test compares the two. Everything of a corpus hangs
on its row in `corpora` and goes with it (ON DELETE CASCADE). Times are microseconds since 1970 in UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    # Named constraints, because SQLite can only change a table by copying it and must know what to leave out.
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# Ids sort by code point on both databases: PostgreSQL would otherwise use the server's language, and pages
# that continue "after this doc_id" would come in another order than on SQLite.
ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")
# SQLite numbers rows by itself only in a column that is exactly INTEGER.
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Python's None is SQL NULL, never the JSON value null.
JSON = sa.JSON(none_as_null=True)
MICROSECONDS = sa.BigInteger


def corpus_id(primary_key: bool = False, nullable: bool = False) -> sa.Column[str]:
    """The corpus that a row belongs to and goes with."""
    key = sa.ForeignKey("corpora.corpus_id", ondelete="CASCADE")
    return sa.Column("corpus_id", ID, key, primary_key=primary_key, nullable=nullable)


corpora = sa.Table(
    "corpora",
    metadata,
    sa.Column("corpus_id", ID, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
)

documents = sa.Table(
    "documents",
    metadata,
    corpus_id(primary_key=True),
    sa.Column("doc_id", ID, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("metadata", JSON, nullable=False),
    sa.Column("content_sha", sa.String(64), nullable=False),
    sa.Column("row_sha", sa.String(64), nullable=False),
    # A rerank's documents often come without an id: they are known by what they say.
    sa.Index(None, "corpus_id", "content_sha"),
)

judged_queries = sa.Table(
    "judged_queries",
    metadata,
    corpus_id(primary_key=True),
    sa.Column("query_id", ID, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("judgments", JSON, nullable=False),
    sa.Column("judgment_count", sa.Integer, nullable=False),
)

eval_datasets = sa.Table(
    "eval_datasets",
    metadata,
    corpus_id(primary_key=True),
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("is_current", sa.Boolean, nullable=False),
    sa.Column("queries", JSON, nullable=False),
    sa.Column("query_count", sa.Integer, nullable=False),
    sa.Column("judgment_count", sa.Integer, nullable=False),
    sa.Column("primary_measure", sa.Text, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    # Whose word the labels are: judgments, or logs with what these rest on.
    sa.Column("source", sa.String(16), nullable=False, server_default=sa.text("'judgments'")),
    sa.Column("evidence", JSON),
    sa.UniqueConstraint("corpus_id", "version"),
)
sa.Index(
    "ux_eval_datasets_one_current",
    eval_datasets.c.corpus_id,
    unique=True,
    sqlite_where=sa.text("is_current"),
    postgresql_where=sa.text("is_current"),
)

# How the order before any label did on the corpus's judgments: decides whether it serves.
untrained_comparisons = sa.Table(
    "untrained_comparisons",
    metadata,
    corpus_id(primary_key=True),
    # Of the eval dataset; NULL: judgments that were trained on.
    sa.Column("measured_on", sa.String(64)),
    sa.Column("queries", sa.Integer, nullable=False),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("fused", sa.Float, nullable=False),
    sa.Column("untrained", sa.Float, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
)

# What an eval dataset was measured on: which candidates, of which state of the corpus. One row a state.
eval_bundles = sa.Table(
    "eval_bundles",
    metadata,
    sa.Column("bundle_number", NUMBER, primary_key=True),
    corpus_id(),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("bundle_sha256", sa.String(64), nullable=False),
    sa.Column("candidates_sha256", sa.String(64), nullable=False),
    sa.Column("corpus_version", sa.BigInteger),
    sa.Column("depth", sa.Integer, nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("settings", JSON, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.UniqueConstraint("corpus_id", "bundle_sha256"),
)

impressions = sa.Table(
    "impressions",
    metadata,
    # A number of our own: the same log may be imported into two corpora, and feedback rows stay small.
    sa.Column("impression_number", NUMBER, primary_key=True),
    corpus_id(),
    sa.Column("query_id", ID, nullable=False, index=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("shown", JSON, nullable=False),
    sa.Column("model_id", sa.Text, nullable=False),
    sa.Column("reranked", sa.Boolean, nullable=False),
    sa.Column("fallback_reason", sa.Text),
    sa.Column("took_ms", sa.Double, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("client_id", ID),
    sa.Column("given", JSON),
    sa.Column("filter", JSON),
    sa.Column("given_fields", JSON),
    sa.UniqueConstraint("corpus_id", "query_id"),
    sa.Index(None, "corpus_id", "created_us", "impression_number"),
)

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("feedback_number", NUMBER, primary_key=True),
    sa.Column(
        "impression_number",
        sa.ForeignKey("impressions.impression_number", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("signal", sa.String(16), nullable=False),
    sa.Column("doc_id", ID),
    sa.Column("value", sa.Double),
    sa.Column("created_us", MICROSECONDS, nullable=False),
)

triplet_sets = sa.Table(
    "triplet_sets",
    metadata,
    sa.Column("set_number", NUMBER, primary_key=True),
    sa.Column("triplet_set_id", ID, nullable=False, unique=True),
    corpus_id(),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Column("params", JSON, nullable=False),
    sa.Column("counts", JSON, nullable=False),
    sa.Column("triplet_count", sa.Integer, nullable=False),
    # Of the corpus's log: only lists up to this one can have been read. NULL: mined before that was written down.
    sa.Column("last_impression", sa.BigInteger),
    sa.Column("erased", sa.Integer, nullable=False, server_default=sa.text("0")),
    # As `last_impression`, of its segments (tables_segments.py). 0: it had none.
    sa.Column("last_segment", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Index(None, "corpus_id", "set_number"),
)

triplets = sa.Table(
    "triplets",
    metadata,
    sa.Column(
        "set_number",
        sa.ForeignKey("triplet_sets.set_number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("query_id", ID, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("positive_doc_id", ID, nullable=False),
    sa.Column("positive_ordinal", sa.Integer, nullable=False),
    sa.Column("negative_doc_id", ID, nullable=False),
    sa.Column("negative_ordinal", sa.Integer, nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("weight", sa.Double, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    # The same for the same triplet of every mining: what was decided of it in one holds in the next.
    sa.Column("triplet_id", ID, nullable=False, index=True),
    sa.Column("held_back", sa.Boolean, nullable=False),
    sa.Column("observed_us", MICROSECONDS),
    sa.Column("remembered", sa.Boolean, nullable=False, server_default=sa.false()),
)

reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("triplet_id", ID, primary_key=True),
    corpus_id(),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("positive_doc_id", ID, nullable=False),
    sa.Column("negative_doc_id", ID, nullable=False),
    sa.Column("mark", sa.String(16), nullable=False),
    sa.Column("decided_us", MICROSECONDS, nullable=False),
    sa.Index(None, "corpus_id", "negative_doc_id"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    # Clocks step back and ids are random: only this number says which job was created first.
    sa.Column("job_number", NUMBER, primary_key=True),
    sa.Column("job_id", ID, nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    corpus_id(),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("params", JSON, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Column("started_us", MICROSECONDS),
    sa.Column("finished_us", MICROSECONDS),
    sa.Column("progress", JSON),
    sa.Column("result", JSON),
    sa.Column("problem", JSON),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    # Who runs it: a worker's name and the mark of one start. NULL: nobody, and whoever comes first may.
    sa.Column("worker", ID),
    # Until when nobody else may take it over, by the clock that all processes of the database share.
    sa.Column("lease_until_us", MICROSECONDS),
    # Starts in a row after which nothing more was heard of the job.
    sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Index(None, "corpus_id", "job_number"),
)
# A worker looks for jobs ten times a second: the look must not grow with all that ever ran.
sa.Index(
    "ix_jobs_open",
    jobs.c.corpus_id,
    jobs.c.job_number,
    sqlite_where=sa.text("finished_us IS NULL"),
    postgresql_where=sa.text("finished_us IS NULL"),
)
sa.Index(
    "ux_jobs_one_running",
    jobs.c.corpus_id,
    unique=True,
    sqlite_where=sa.text("state = 'running'"),
    postgresql_where=sa.text("state = 'running'"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("job_id", ID, sa.ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("at_us", MICROSECONDS, nullable=False),
    sa.Column("data", JSON, nullable=False),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("model_id", ID, primary_key=True),
    corpus_id(),
    sa.Column("run_id", ID, nullable=False),
    sa.Column("artifact", sa.String(64), nullable=False),
    sa.Column("manifest", JSON, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Index(None, "corpus_id"),
)

aliases = sa.Table(
    "aliases",
    metadata,
    corpus_id(primary_key=True),
    sa.Column("alias", sa.String(16), primary_key=True),
    # NULL is an answer: "no trained model", which a rollback can go back to.
    sa.Column("model_id", ID, sa.ForeignKey("models.model_id", ondelete="CASCADE")),
)

promotions = sa.Table(
    "promotions",
    metadata,
    sa.Column("promotion_number", NUMBER, primary_key=True),
    corpus_id(),
    sa.Column("model_id", ID),
    sa.Column("previous_model_id", ID),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evaluation_id", ID),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False, server_default=sa.text("'hand'")),
    # The row whose model a rollback brings back; NULL: what there was before the first promotion, no trained model.
    sa.Column("parent_number", sa.BigInteger),
    sa.Index(None, "corpus_id", "promotion_number"),
)

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("erasure_number", NUMBER, primary_key=True),
    corpus_id(),
    sa.Column("kind", sa.String(16), nullable=False),
    # Counts and the ids of what used it, never what was erased.
    sa.Column("report", JSON, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Index(None, "corpus_id", "erasure_number"),
)

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("evaluation_number", NUMBER, primary_key=True),
    sa.Column("evaluation_id", ID, nullable=False, unique=True),
    corpus_id(),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Column("report", JSON, nullable=False),
    sa.Index(None, "corpus_id", "evaluation_number"),
)

evaluation_queries = sa.Table(
    "evaluation_queries",
    metadata,
    sa.Column(
        "evaluation_number",
        sa.ForeignKey("evaluations.evaluation_number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data", JSON, nullable=False),
)

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("scope", ID, primary_key=True),
    sa.Column("section", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", JSON, nullable=False),
    # The scope again, as a reference, so that a corpus takes its settings along; NULL for the global scope ''.
    corpus_id(nullable=True),
    sa.CheckConstraint("scope = coalesce(corpus_id, '')", name="scope"),
)

candidates = sa.Table(
    "candidates",
    metadata,
    sa.Column("key", ID, primary_key=True),
    corpus_id(),
    sa.Column("payload", JSON, nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Index(None, "corpus_id"),
)

spending = sa.Table(
    "spending",
    metadata,
    # A day in UTC, as 2026-11-23: days sort, and a month's begin with its own.
    sa.Column("day", sa.String(10), primary_key=True),
    # No reference: what a corpus that is gone has cost stays spent.
    sa.Column("corpus_id", ID, primary_key=True),
    sa.Column("provider", sa.String(16), primary_key=True),
    sa.Column("model", ID, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("documents", sa.BigInteger, nullable=False),
    # Requests to a model without a price: what they cost is not in `usd`.
    sa.Column("unpriced", sa.BigInteger, nullable=False),
    sa.Column("usd", sa.Double, nullable=False),
)

# A key stays here after its revocation: from the first one on, a server never again answers without a key.
api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", ID, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", JSON, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("created_us", MICROSECONDS, nullable=False),
    sa.Column("revoked_us", MICROSECONDS),
    sa.Column("corpora", JSON),
    sa.Column("filter", JSON),
)
