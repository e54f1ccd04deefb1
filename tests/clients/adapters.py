"""Uses Tribrid's own packages for LangChain, LlamaIndex and Haystack as their users do, and prints what came as JSON.

    python tests/clients/adapters.py http://127.0.0.1:8000 corpus http://127.0.0.1:9

The last address is one where nobody answers. Runs in the environment of the rerank clients (`make clients`), with the
packages' folders on its path.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

QUERY = "soup in the kitchen"
TEXTS = ["How to renew a certificate.", "A kitchen has pasta and soup.", "The proxy.", "Night."]
Found = dict[str, Any]


def langchain_rerank(url: str, corpus: str, nowhere: str) -> Found:
    from langchain_core.documents import BaseDocumentCompressor, Document
    from langchain_tribrid import TribridRerank

    documents = [Document(page_content=text, metadata={"place": at}, id=f"lc-{at}") for at, text in enumerate(TEXTS)]
    reranker = TribridRerank(base_url=url, corpus_id=corpus, top_n=3)
    found = list(reranker.compress_documents(documents, QUERY))
    awaited = list(asyncio.run(reranker.acompress_documents(documents, QUERY)))
    broken = TribridRerank(base_url=nowhere, top_n=2, timeout_s=2)
    patient = TribridRerank(base_url=nowhere, top_n=2, timeout_s=2, on_error="keep_order")
    return {
        "order": [document.metadata["place"] for document in found],
        "awaited": [document.metadata["place"] for document in awaited],
        "kept": found[0].metadata,
        "untouched": documents[0].metadata == {"place": 0},
        "is_a": isinstance(reranker, BaseDocumentCompressor),
        "feedback": reranker.feedback(found[0], "click").model_dump(),
        "afeedback": asyncio.run(reranker.afeedback(awaited[1], "copy")).model_dump(),
        "empty": list(reranker.compress_documents([], QUERY)),
        "raised": raised(lambda: broken.compress_documents(documents, QUERY)),
        "araised": raised(lambda: asyncio.run(broken.acompress_documents(documents, QUERY))),
        "in_order": [d.metadata["place"] for d in patient.compress_documents(documents, QUERY)],
        "ain_order": [d.metadata["place"] for d in asyncio.run(patient.acompress_documents(documents, QUERY))],
        "foreign": raised(lambda: reranker.feedback(documents[0], "click")),
    }


def langchain_retriever(url: str, corpus: str, nowhere: str) -> Found:
    from langchain_core.retrievers import BaseRetriever
    from langchain_tribrid import TribridRetriever

    retriever = TribridRetriever(base_url=url, corpus_id=corpus, k=3)
    found, awaited = retriever.invoke(QUERY), asyncio.run(retriever.ainvoke(QUERY, k=2))
    return {
        "order": [document.id for document in found],
        "awaited": [document.id for document in awaited],
        "kept": found[0].metadata,
        "is_a": isinstance(retriever, BaseRetriever),
        "feedback": retriever.feedback(found[1], "thumbs_up").model_dump(),
        "raised": raised(lambda: TribridRetriever(base_url=nowhere, corpus_id=corpus, timeout_s=2).invoke(QUERY)),
        "runnable": [len(batch) for batch in retriever.batch([QUERY, "night"])],
    }


def llama_index_rerank(url: str, corpus: str, nowhere: str) -> Found:
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.event_handlers import BaseEventHandler
    from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode
    from llama_index.postprocessor.tribrid_rerank import TribridRerank

    told: list[str] = []

    class Listening(BaseEventHandler):  # type: ignore[misc]
        def handle(self, event: Any, **_: Any) -> None:
            told.append(type(event).__name__)

    get_dispatcher().add_event_handler(Listening())
    nodes = [NodeWithScore(node=TextNode(text=text, id_=f"li-{at}"), score=0.5) for at, text in enumerate(TEXTS)]
    reranker = TribridRerank(base_url=url, corpus_id=corpus, top_n=3, keep_retrieval_score=True)
    found = reranker.postprocess_nodes(nodes, query_str=QUERY)
    page = NodeWithScore(node=TextNode(text="A page of its own.", id_="li-page", metadata={"page_label": "7"}))
    (paged,) = reranker.postprocess_nodes([page], query_str=QUERY)
    awaited = asyncio.run(reranker.apostprocess_nodes(nodes, query_str=QUERY))
    broken = TribridRerank(base_url=nowhere, top_n=2, timeout_s=2)
    patient = TribridRerank(base_url=nowhere, top_n=2, timeout_s=2, on_error="keep_order")
    return {
        "order": [int(node.node.node_id[3:]) for node in found],
        "awaited": [int(node.node.node_id[3:]) for node in awaited],
        "kept": found[0].node.metadata,
        "untouched": nodes[1].node.metadata == {} and nodes[1].score == 0.5,
        "paged": reranker.feedback(paged, "click").doc_id,
        "hidden": all(
            found[0].node.get_content(metadata_mode=mode) == TEXTS[1] for mode in (MetadataMode.LLM, MetadataMode.EMBED)
        ),
        "feedback": reranker.feedback(found[0], "click").model_dump(),
        "afeedback": asyncio.run(reranker.afeedback(awaited[1], "copy")).model_dump(),
        "events": sorted(set(told)),
        "empty": reranker.postprocess_nodes([], query_str=QUERY),
        "raised": raised(lambda: broken.postprocess_nodes(nodes, query_str=QUERY)),
        "araised": raised(lambda: asyncio.run(broken.apostprocess_nodes(nodes, query_str=QUERY))),
        "in_order": [int(node.node.node_id[3:]) for node in patient.postprocess_nodes(nodes, query_str=QUERY)],
        "wordless": raised(lambda: reranker.postprocess_nodes(nodes)),
        "key": "secret" in json.dumps(TribridRerank(api_key="secret").to_dict()),
    }


def llama_index_retriever(url: str, corpus: str, nowhere: str) -> Found:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import MetadataMode
    from llama_index.retrievers.tribrid import TribridRetriever

    retriever = TribridRetriever(corpus, url, similarity_top_k=3)
    found = retriever.retrieve(QUERY)
    awaited = asyncio.run(TribridRetriever(corpus, url, similarity_top_k=2).aretrieve(QUERY))
    read = [found[0].node.get_content(metadata_mode=mode) for mode in (MetadataMode.LLM, MetadataMode.EMBED)]
    return {
        "order": [node.node.node_id for node in found],
        "awaited": [node.node.node_id for node in awaited],
        "kept": found[0].node.metadata,
        "is_a": isinstance(retriever, BaseRetriever),
        "source": found[0].node.ref_doc_id,
        "read": ["tribrid" in text for text in read] + [found[0].node.metadata["title"] in text for text in read],
        "feedback": retriever.feedback(found[1], "thumbs_up").model_dump(),
        "afeedback": asyncio.run(retriever.afeedback(awaited[0], "click")).model_dump(),
        "raised": raised(lambda: TribridRetriever(corpus, nowhere, timeout_s=2).retrieve(QUERY)),
        "araised": raised(lambda: asyncio.run(TribridRetriever(corpus, nowhere, timeout_s=2).aretrieve(QUERY))),
    }


def haystack_ranker(url: str, corpus: str, nowhere: str) -> Found:
    from haystack import Document, Pipeline
    from haystack_integrations.components.rankers.tribrid import TribridRanker

    documents = [Document(id=f"hs-{at}", content=text) for at, text in enumerate(TEXTS)]
    ranker = TribridRanker(base_url=url, corpus_id=corpus, top_k=3)
    pipeline = Pipeline()
    pipeline.add_component("ranker", ranker)
    again = Pipeline.loads(pipeline.dumps())
    found = again.run({"ranker": {"query": QUERY, "documents": documents}})["ranker"]["documents"]
    awaited = asyncio.run(ranker.run_async(query=QUERY, documents=documents, top_k=2))["documents"]
    # Haystack's own ids: the same text, with and without an embedding and a page.
    text = "Nobody gave this text an id."
    one, other = Document(content=text), Document(content=text, meta={"page": 7}, embedding=[0.1, 0.2])
    clicked = [ranker.feedback(ranker.run(query=QUERY, documents=[d])["documents"][0], "click") for d in (one, other)]
    broken = TribridRanker(base_url=nowhere, top_k=2, timeout_s=2)
    patient = TribridRanker(base_url=nowhere, top_k=2, timeout_s=2, on_error="keep_order")
    return {
        "order": [int(document.id[3:]) for document in found],
        "awaited": [int(document.id[3:]) for document in awaited],
        "kept": found[0].meta,
        "untouched": documents[1].meta == {} and documents[1].score is None,
        "automatic": [one.id != other.id, *(answer.doc_id for answer in clicked)],
        "same": TribridRanker.from_dict(ranker.to_dict()).to_dict() == ranker.to_dict(),
        "feedback": ranker.feedback(found[0], "click").model_dump(),
        "afeedback": asyncio.run(ranker.feedback_async(awaited[1], "copy")).model_dump(),
        "empty": ranker.run(query=QUERY, documents=[])["documents"],
        "raised": raised(lambda: broken.run(query=QUERY, documents=documents)),
        "araised": raised(lambda: asyncio.run(broken.run_async(query=QUERY, documents=documents))),
        "in_order": [int(d.id[3:]) for d in patient.run(query=QUERY, documents=documents)["documents"]],
    }


def haystack_retriever(url: str, corpus: str, nowhere: str) -> Found:
    from haystack import Pipeline
    from haystack_integrations.components.retrievers.tribrid import TribridRetriever

    retriever = TribridRetriever(corpus, url, top_k=3)
    pipeline = Pipeline()
    pipeline.add_component("retriever", retriever)
    found = Pipeline.loads(pipeline.dumps()).run({"retriever": {"query": QUERY}})["retriever"]["documents"]
    awaited = asyncio.run(retriever.run_async(query=QUERY, top_k=2))["documents"]
    return {
        "order": [document.id for document in found],
        "awaited": [document.id for document in awaited],
        "kept": found[0].meta,
        "feedback": retriever.feedback(found[1], "thumbs_up").model_dump(),
        "afeedback": asyncio.run(retriever.feedback_async(awaited[0], "click")).model_dump(),
        "raised": raised(lambda: TribridRetriever(corpus, nowhere, timeout_s=2).run(query=QUERY)),
    }


RERANKERS: tuple[Callable[[str, str, str], Found], ...] = (langchain_rerank, llama_index_rerank, haystack_ranker)
RETRIEVERS: tuple[Callable[[str, str, str], Found], ...] = (
    langchain_retriever, llama_index_retriever, haystack_retriever,
)  # fmt: skip


def raised(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is looked at
        return type(error).__name__
    return ""


def main() -> None:
    url, corpus, nowhere = sys.argv[1:4]
    sys.stdout.write(json.dumps({call.__name__: call(url, corpus, nowhere) for call in (*RERANKERS, *RETRIEVERS)}))


if __name__ == "__main__":
    main()
