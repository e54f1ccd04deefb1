"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# As they were in tables.py then: a migration must not change when the tables do.
ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    _corpora()
    _judgments()
    _settings()
    _logs()
    _triplets()
    _jobs()
    _models()
    _evaluations()


def _corpora() -> None:
    op.create_table(
        "corpora",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("corpus_id", name=op.f("pk_corpora")),
    )
    op.create_table(
        "documents",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("doc_id", ID, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("metadata", JSON, nullable=False),
        sa.Column("content_sha", sa.String(length=64), nullable=False),
        sa.Column("row_sha", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_documents_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("corpus_id", "doc_id", name=op.f("pk_documents")),
    )


def _judgments() -> None:
    op.create_table(
        "judged_queries",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("query_id", ID, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("judgments", JSON, nullable=False),
        sa.Column("judgment_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_judged_queries_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("corpus_id", "query_id", name=op.f("pk_judged_queries")),
    )
    op.create_table(
        "eval_datasets",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("queries", JSON, nullable=False),
        sa.Column("query_count", sa.Integer(), nullable=False),
        sa.Column("judgment_count", sa.Integer(), nullable=False),
        sa.Column("primary_measure", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_eval_datasets_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("corpus_id", "sha256", name=op.f("pk_eval_datasets")),
        sa.UniqueConstraint("corpus_id", "version", name=op.f("uq_eval_datasets_corpus_id_version")),
    )
    op.create_index(
        "ux_eval_datasets_one_current",
        "eval_datasets",
        ["corpus_id"],
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    )


def _settings() -> None:
    op.create_table(
        "settings",
        sa.Column("scope", ID, nullable=False),
        sa.Column("section", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("corpus_id", ID, nullable=True),
        sa.CheckConstraint("scope = coalesce(corpus_id, '')", name=op.f("ck_settings_scope")),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_settings_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("scope", "section", "name", name=op.f("pk_settings")),
    )
    op.create_table(
        "candidates",
        sa.Column("key", ID, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_candidates_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_candidates")),
    )
    op.create_index(op.f("ix_candidates_corpus_id"), "candidates", ["corpus_id"], unique=False)


def _logs() -> None:
    op.create_table(
        "impressions",
        sa.Column("impression_number", NUMBER, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("query_id", ID, nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("shown", JSON, nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("reranked", sa.Boolean(), nullable=False),
        sa.Column("fallback_reason", sa.Text(), nullable=True),
        sa.Column("took_ms", sa.Double(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_impressions_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("impression_number", name=op.f("pk_impressions")),
        sa.UniqueConstraint("corpus_id", "query_id", name=op.f("uq_impressions_corpus_id_query_id")),
    )
    op.create_index(
        op.f("ix_impressions_corpus_id_created_us_impression_number"),
        "impressions",
        ["corpus_id", "created_us", "impression_number"],
        unique=False,
    )
    op.create_index(op.f("ix_impressions_query_id"), "impressions", ["query_id"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("feedback_number", NUMBER, nullable=False),
        sa.Column("impression_number", NUMBER, nullable=False),
        sa.Column("signal", sa.String(length=16), nullable=False),
        sa.Column("doc_id", ID, nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["impression_number"],
            ["impressions.impression_number"],
            name=op.f("fk_feedback_impression_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("feedback_number", name=op.f("pk_feedback")),
    )
    op.create_index(op.f("ix_feedback_impression_number"), "feedback", ["impression_number"], unique=False)


def _triplets() -> None:
    op.create_table(
        "triplet_sets",
        sa.Column("set_number", NUMBER, nullable=False),
        sa.Column("triplet_set_id", ID, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("params", JSON, nullable=False),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("triplet_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_triplet_sets_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("set_number", name=op.f("pk_triplet_sets")),
        sa.UniqueConstraint("triplet_set_id", name=op.f("uq_triplet_sets_triplet_set_id")),
    )
    op.create_index(
        op.f("ix_triplet_sets_corpus_id_set_number"), "triplet_sets", ["corpus_id", "set_number"], unique=False
    )
    op.create_table(
        "triplets",
        sa.Column("set_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("query_id", ID, nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("positive_doc_id", ID, nullable=False),
        sa.Column("positive_ordinal", sa.Integer(), nullable=False),
        sa.Column("negative_doc_id", ID, nullable=False),
        sa.Column("negative_ordinal", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["set_number"], ["triplet_sets.set_number"], name=op.f("fk_triplets_set_number"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("set_number", "position", name=op.f("pk_triplets")),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_number", NUMBER, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("params", JSON, nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=True),
        sa.Column("finished_us", sa.BigInteger(), nullable=True),
        sa.Column("progress", JSON, nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.Column("problem", JSON, nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_jobs_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_number", name=op.f("pk_jobs")),
        sa.UniqueConstraint("job_id", name=op.f("uq_jobs_job_id")),
    )
    op.create_index(op.f("ix_jobs_corpus_id_job_number"), "jobs", ["corpus_id", "job_number"], unique=False)
    op.create_index(
        "ux_jobs_one_running_training",
        "jobs",
        ["corpus_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'train' AND state = 'running'"),
        postgresql_where=sa.text("kind = 'train' AND state = 'running'"),
    )
    op.create_table(
        "events",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name=op.f("fk_events_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_events")),
    )


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("model_id", ID, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("artifact", sa.String(length=64), nullable=False),
        sa.Column("manifest", JSON, nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_models_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_models")),
    )
    op.create_index(op.f("ix_models_corpus_id"), "models", ["corpus_id"], unique=False)
    op.create_table(
        "aliases",
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("alias", sa.String(length=16), nullable=False),
        sa.Column("model_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_aliases_corpus_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.model_id"], name=op.f("fk_aliases_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("corpus_id", "alias", name=op.f("pk_aliases")),
    )
    op.create_table(
        "promotions",
        sa.Column("promotion_number", NUMBER, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("model_id", ID, nullable=True),
        sa.Column("previous_model_id", ID, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evaluation_id", ID, nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_promotions_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("promotion_number", name=op.f("pk_promotions")),
    )
    op.create_index(
        op.f("ix_promotions_corpus_id_promotion_number"), "promotions", ["corpus_id", "promotion_number"], unique=False
    )


def _evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("evaluation_number", NUMBER, nullable=False),
        sa.Column("evaluation_id", ID, nullable=False),
        sa.Column("corpus_id", ID, nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("report", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_id"], ["corpora.corpus_id"], name=op.f("fk_evaluations_corpus_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("evaluation_number", name=op.f("pk_evaluations")),
        sa.UniqueConstraint("evaluation_id", name=op.f("uq_evaluations_evaluation_id")),
    )
    op.create_index(
        op.f("ix_evaluations_corpus_id_evaluation_number"),
        "evaluations",
        ["corpus_id", "evaluation_number"],
        unique=False,
    )
    op.create_table(
        "evaluation_queries",
        sa.Column("evaluation_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_number"],
            ["evaluations.evaluation_number"],
            name=op.f("fk_evaluation_queries_evaluation_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_number", "position", name=op.f("pk_evaluation_queries")),
    )
