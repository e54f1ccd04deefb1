"""What the reranker and the retriever share: the connection, and feedback."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document
from langchain_core.utils import secret_from_env
from pydantic import BaseModel, Field, SecretStr

from tribrid_client import AsyncTribridClient, FeedbackAnswer, TribridClient, feedback_of


class Connected(BaseModel):
    """A Tribrid server.

    Each call opens its own connection: an async client belongs to one event loop, and chains are run in many.
    """

    base_url: str = "http://127.0.0.1:8000"
    """Address of the server."""
    api_key: SecretStr | None = Field(default_factory=secret_from_env("TRIBRID_API_KEY", default=None))
    """Its key; default: the variable TRIBRID_API_KEY."""
    timeout_s: float = 30.0
    """Longest silence of the server."""

    def _told(self) -> dict[str, Any]:
        key = self.api_key.get_secret_value() if self.api_key else None
        return {"base_url": self.base_url, "api_key": key, "timeout_s": self.timeout_s}

    def _client(self) -> TribridClient:
        return TribridClient(**self._told())

    def _aclient(self) -> AsyncTribridClient:
        return AsyncTribridClient(**self._told())

    def feedback(self, document: Document, signal: str, value: float | None = None) -> FeedbackAnswer:
        """Tell what a user did with a document: click, copy, cite, thumbs_up, thumbs_down, dwell, rating.

        Raises:
            ValueError: the document did not come from Tribrid. TribridError.
        """
        with self._client() as client:
            return client.feedback(signal=signal, value=value, **feedback_of(document.metadata))

    async def afeedback(self, document: Document, signal: str, value: float | None = None) -> FeedbackAnswer:
        """The same, to be awaited."""
        async with self._aclient() as client:
            return await client.feedback(signal=signal, value=value, **feedback_of(document.metadata))
