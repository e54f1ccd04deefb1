"""A corpus's logs: what users saw and did, from elsewhere, counted, and kept no longer than wanted."""

from __future__ import annotations

from collections.abc import Iterable

from tribrid.answers.logs import AskedQuery, Day, LogImport, LogStats, PrunedLogs, PulledLogs
from tribrid.app.parts import CorpusPart, quiet
from tribrid.app.retention import prune_logs
from tribrid.engines.pulled import records
from tribrid.engines.source import source_at
from tribrid.errors import InvalidInput
from tribrid.logs.importing import import_logs
from tribrid.logs.pulled import INDICES, TIME, UbiLog, check_since
from tribrid.types import Emit


class Logs(CorpusPart):
    """The logs of a corpus. Its own searches come in by `search`, what users did by `feedback`."""

    def add(self, stream: Iterable[bytes], format: str = "native", *, emit: Emit = quiet) -> LogImport:
        """Import a search log: `ubi` (OpenSearch UBI 1.3), `native`, or `clicks` (query, document, time).

        Raises:
            CorpusNotFound, InvalidInput: another format, or nothing joins: then nothing is stored.
            NoDocuments: `clicks` for an empty corpus.
        """
        return import_logs(self._open(), stream, format, emit)

    def pull(self, source: str, *, since: str | None = None, emit: Emit = quiet) -> PulledLogs:
        """Import the log that User Behavior Insights keeps in OpenSearch or Elasticsearch. What came before is known.

        Args:
            source: opensearch+https://host:9200 or elasticsearch+https://…; with http in the place of https where
                there is no certificate. The key is TRIBRID_PULL_KEY.
            since: only records of this time or later, ISO 8601. The answer has that of the next pull.

        Raises:
            CorpusNotFound.
            NotFound: there is no such index.
            InvalidInput: the source is none, may not be asked, or refuses; `since` is no time; or, without it, nothing
                joins: then nothing is stored.
            Unavailable: it cannot be read.
        """
        if since is not None:
            check_since(since)
        corpus, environment = self._open(), self._folder.environment
        asked = source_at(environment, source, INDICES, None, TIME, since)
        if asked.kind != "elastic":
            raise InvalidInput("source: an OpenSearch or Elasticsearch that keeps UBI's indices.", field="source")
        log = UbiLog(fields for _, fields in records(asked, environment, ()))
        found = import_logs(corpus, log.lines(), "ubi", emit, a_part=since is not None)
        return PulledLogs(**dict(found), since=log.since or since)

    def stats(self) -> LogStats:
        """Impressions and feedback.

        Raises:
            CorpusNotFound.
        """
        self.require()
        return self._folder.store.logs.stats(self.corpus_id)

    def frequent(self, limit: int = 50) -> list[AskedQuery]:
        """The queries that most clients asked, of the newest 100,000 lists.

        Raises:
            CorpusNotFound.
        """
        self.require()
        asked = self._folder.store.logs.crowd(self.corpus_id, limit).queries
        return [AskedQuery(query=query, clients=clients) for query, clients in asked.items()]

    def days(self, most: int = 30) -> list[Day]:
        """What was logged on each of the newest days on which anything was, oldest first.

        Raises:
            CorpusNotFound.
        """
        self.require()
        return self._folder.store.logs.days(self.corpus_id, most)

    def prune(self, *, days: int | None = None, emit: Emit = quiet) -> PrunedLogs:
        """Delete searches older than the setting logs.retention_days, or than `days`, with their feedback.

        Raises:
            CorpusNotFound. InvalidInput: days is not 1 or more.
        """
        self.require()
        return prune_logs(self._folder, self.corpus_id, days, emit)
