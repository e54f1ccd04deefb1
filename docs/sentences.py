"""What docs/generate.py says of names that have no sentence in the program."""

from __future__ import annotations

VARIABLES = {
    "data_dir": "Folder that holds all state. Default: `~/.tribrid`.",
    "database_url": "Where the rows are, such as `postgresql://user@host/name`. Default: SQLite in the data folder.",
    "storage_url": "Where indexes, models and exports are, such as `s3://bucket/folder`: [several "
    "machines](../howto-several-machines.md). The data folder then holds copies. Credentials come from the store's own "
    "variables, such as `AWS_ACCESS_KEY_ID`. Needs the extra `storage`. Default: the data folder.",
    "host": "Address that `tribrid serve` listens on. Beyond loopback only with an API key.",
    "port": "Port that `tribrid serve` listens on.",
    "api_key": "Key that may do everything: `Authorization: Bearer <key>`. From the first key on, this or one of "
    "`tribrid keys`, every request but `GET /health` must send one. Default: none.",
    "mcp_key": "Key of `tribrid keys` for the agent that started `tribrid mcp`: its scopes decide which tools there "
    "are. Default: none, and the agent only reads.",
    "models_file": "Price list to use instead of the one that comes with Tribrid (`data/models.json`).",
    "models_dir": "Folder of exported base models; several data folders may share it. Default: `models` in the data "
    "folder.",
    "cloud_urls": "Addresses of rerank services, separated by spaces or commas, that an evaluation may ask for "
    "comparison (`arms`), beside the one that `reranking.reranker_cloud_url` names.",
    "log_format": "`json`: every line on stderr is one JSON object, with the `request_id`; `text`: lines for people.",
    "log_level": "From which level on Tribrid's own lines are written: `debug`, `info`, `warning` or `error`.",
    "tracing": "`1`: OpenTelemetry spans are sent where OpenTelemetry's own variables say, such as "
    "`OTEL_EXPORTER_OTLP_ENDPOINT`. Needs the extra `otel`. Default: off.",
    "outbound_hosts": "Hosts, separated by commas, that settings such as `generation.base_url` may name. Default: any "
    "that who may change settings names.",
}
MEASURES = {
    "mrr@10": (
        "1 / rank of the first relevant document, 0 if none is in the first 10; the mean over queries is MRR@10.",
        "Voorhees, TREC-8 (1999)",
    ),
    "recall@5": ("Share of the query's relevant documents that are in the first 5.", ""),
    "recall@10": ("Share of the query's relevant documents that are in the first 10.", ""),
    "recall@20": ("Share of the query's relevant documents that are in the first 20.", ""),
    "ndcg@10": (
        "DCG of the first 10, the sum of grade / log2(rank + 1), over that of the best order. It alone counts grades.",
        "Järvelin and Kekäläinen, TOIS (2002)",
    ),
    "map": (
        "Mean over the query's relevant documents of precision at the rank where each stands, 0 for one not found.",
        "Buckley and Voorhees, TREC (2005)",
    ),
    "judged@10": (
        "Share of the first 10 that anybody has judged: how far the others can be trusted, not how good a ranking is.",
        "",
    ),
}
EVENTS = {
    "state": "`state`: queued, running, succeeded, failed or cancelled. `attempt`: the how-manieth start, from 1. "
    "`interrupted`: the worker stopped in good order; the next one goes on, and starts are counted from 1 again. "
    "`killed`: the signal that killed its process; it is started once more, a training from its last checkpoint and "
    "with a smaller batch.",
    "progress": "`stage`, `done`, `total`; `eta_s` (seconds) where it is known.",
    "metrics": "Per step: `step`, `epoch`, `loss`. Per measurement: `step`, `dev_ndcg@10`. Per stage: what it chose, "
    "such as `stage: blend` with `held_out_ndcg@10` by form.",
    "log": "`message`, and `level` where it is not info.",
    "complete": "The last event of a run that succeeded: `state`, `result`.",
    "error": "The last event of a run that failed or was cancelled: `state`, `problem`.",
}
SIGNALS = {
    "click": "The result was opened.",
    "dwell": "It was read; `value` is seconds. 30 or more speak for the document.",
    "copy": "Something of it was copied.",
    "cite": "It was cited, by a person or in a generated answer.",
    "thumbs_up": "Said to be good. With `thumbs_down` and `rating` an explicit judgment: it outranks all of the above.",
    "thumbs_down": "Said to be bad.",
    "rating": "`value` 1 to 5: 4 and 5 are good, 1 and 2 bad, 3 is neither.",
}
