"""Calls Tribrid through the real clients of other rerank services, and prints what each of them understood as JSON.

    python tests/clients/calls.py http://127.0.0.1:8000 corpus wrong-model

Runs in an environment of its own (`make clients`): these packages and the product's need not go together. Each call
gives the positions of the documents, best first, their scores, or the error that the client raised.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

QUERY = "soup in the kitchen"
TEXTS = ["How to renew a certificate.", "A kitchen has pasta and soup.", "The proxy.", "Night."]
KEY = "any key"
Found = dict[str, Any]


def found(order: Sequence[int], scores: Sequence[float], **more: Any) -> Found:
    return {"order": list(order), "scores": list(scores), **more}


def cohere_1(url: str, model: str) -> Found:
    import cohere

    client = cohere.Client(api_key=KEY, base_url=url)
    answer = client.rerank(query=QUERY, documents=TEXTS, model=model, top_n=3, return_documents=True)
    texts = [row.document.text if row.document else None for row in answer.results]
    units = answer.meta.billed_units.search_units if answer.meta and answer.meta.billed_units else None
    order = [row.index for row in answer.results]
    return found(order, [row.relevance_score for row in answer.results], texts=texts, units=units, id=answer.id)


def cohere_2(url: str, model: str) -> Found:
    import cohere

    # A base URL with /v1, as people paste it.
    answer = cohere.ClientV2(api_key=KEY, base_url=f"{url}/v1").rerank(model=model, query=QUERY, documents=TEXTS)
    return found([r.index for r in answer.results], [r.relevance_score for r in answer.results], id=answer.id)


def voyage(url: str, model: str) -> Found:
    import voyageai

    answer = voyageai.Client(api_key=KEY, base_url=f"{url}/voyage/v1").rerank(QUERY, TEXTS, model=model)
    scores = [row.relevance_score for row in answer.results]
    texts = [row.document for row in answer.results]
    return found([row.index for row in answer.results], scores, texts=texts, tokens=answer.total_tokens)


def voyage_async(url: str, model: str) -> Found:
    import voyageai

    client = voyageai.AsyncClient(api_key=KEY, base_url=f"{url}/voyage/v1")
    answer = asyncio.run(client.rerank(QUERY, TEXTS, model=model, top_k=2))
    return found([row.index for row in answer.results], [row.relevance_score for row in answer.results])


def langchain_cohere(url: str, model: str) -> Found:
    from langchain_cohere import CohereRerank
    from pydantic import SecretStr

    reranker = CohereRerank(cohere_api_key=SecretStr(KEY), base_url=url, model=model, top_n=3)
    answer = reranker.rerank(TEXTS, QUERY)
    return found([row["index"] for row in answer], [row["relevance_score"] for row in answer])


def _nodes() -> list[Any]:
    from llama_index.core.schema import NodeWithScore, TextNode

    return [NodeWithScore(node=TextNode(text=text, id_=str(at)), score=0.5) for at, text in enumerate(TEXTS)]


def _of_nodes(nodes: Sequence[Any]) -> Found:
    return found([int(node.node.node_id) for node in nodes], [node.score for node in nodes])


def llama_index_cohere(url: str, model: str) -> Found:
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    reranker = CohereRerank(api_key=KEY, base_url=url, model=model, top_n=4)
    return _of_nodes(reranker.postprocess_nodes(_nodes(), query_str=QUERY))


def llama_index_tei(url: str, model: str) -> Found:
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    return _of_nodes(TextEmbeddingInference(base_url=url, top_n=4).postprocess_nodes(_nodes(), query_str=QUERY))


def _documents() -> list[Any]:
    from haystack import Document

    return [Document(id=str(at), content=text) for at, text in enumerate(TEXTS)]


def _of_documents(answer: dict[str, Any]) -> Found:
    documents = answer["documents"]
    return found([int(document.id) for document in documents], [document.score for document in documents])


def haystack_cohere(url: str, model: str) -> Found:
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker

    ranker = CohereRanker(model=model, api_key=Secret.from_token(KEY), api_base_url=url)
    return _of_documents(ranker.run(query=QUERY, documents=_documents()))


def haystack_jina(url: str, model: str) -> Found:
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.jina import JinaRanker

    ranker = JinaRanker(model=model, api_key=Secret.from_token(KEY), base_url=f"{url}/v1/rerank")
    return _of_documents(ranker.run(query=QUERY, documents=_documents()))


def haystack_tei(url: str, model: str) -> Found:
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

    return _of_documents(HuggingFaceTEIRanker(url=url, top_k=4).run(query=QUERY, documents=_documents()))


def _litellm(provider: str, url: str, model: str, **more: Any) -> Found:
    import litellm

    litellm.suppress_debug_info = True
    answer = litellm.rerank(
        model=f"{provider}/{model}", query=QUERY, documents=TEXTS, top_n=4, api_base=url, api_key=KEY, **more
    )
    rows = answer.results or []
    return found([row["index"] for row in rows], [row["relevance_score"] for row in rows])


def litellm_cohere(url: str, model: str) -> Found:
    return _litellm("cohere", f"{url}/v2/rerank", model)


def litellm_jina(url: str, model: str) -> Found:
    return _litellm("jina_ai", url, model)


def litellm_infinity(url: str, model: str) -> Found:
    # infinity gives a document back as a string where Cohere, whose route this is, gives an object.
    return _litellm("infinity", url, model, return_documents=False)


def litellm_hosted_vllm(url: str, model: str) -> Found:
    return _litellm("hosted_vllm", url, model)


CALLS: tuple[Callable[[str, str], Found], ...] = (
    cohere_1, cohere_2, voyage, voyage_async, langchain_cohere, llama_index_cohere, llama_index_tei, haystack_cohere,
    haystack_jina, haystack_tei, litellm_cohere, litellm_jina, litellm_infinity, litellm_hosted_vllm,
)  # fmt: skip


def _vendors(name: str) -> str:
    """The model that users of such a client name when they call the vendor."""
    if "jina" in name:
        return "jina-reranker-v2-base-multilingual"
    return "rerank-2.5" if "voyage" in name else "rerank-v3.5"


def outcome(call: Callable[[str, str], Found], url: str, model: str) -> Found:
    try:
        return call(url, model)
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what is looked at
        body = getattr(error, "body", None)
        return {
            "error": type(error).__name__,
            "said": f"{error}"[:500],
            "status": getattr(error, "status_code", None),
        } | ({"body": body} if isinstance(body, dict) else {})


def main() -> None:
    url, model, wrong = sys.argv[1:4]
    answers = {call.__name__: outcome(call, url, model) for call in CALLS}
    unchanged = {call.__name__: outcome(call, url, _vendors(call.__name__)) for call in CALLS}
    refusals = {call.__name__: outcome(call, url, wrong) for call in CALLS}
    sys.stdout.write(json.dumps({"answers": answers, "unchanged": unchanged, "refusals": refusals}))


if __name__ == "__main__":
    main()
