"""LangChain's standard tests of retrievers, on TribridRetriever and a real server.

TRIBRID_URL and TRIBRID_CORPUS say which. LlamaIndex and Haystack have standard tests of stores only.
"""

from __future__ import annotations

import os
from typing import Any

from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests
from langchain_tribrid import TribridRetriever


class TestTribridRetriever(RetrieversIntegrationTests):  # type: ignore[misc]
    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        constructor: type[BaseRetriever] = TribridRetriever
        return constructor

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"base_url": os.environ["TRIBRID_URL"], "corpus_id": os.environ["TRIBRID_CORPUS"]}

    @property
    def retriever_query_example(self) -> str:
        return "soup in the kitchen"
