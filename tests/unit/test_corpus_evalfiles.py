"""Eval datasets as files: what goes out comes back in, and what cannot be read is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribrid.corpus.evalfiles import WRITERS, parse_jsonl, parse_quepid, parse_topics
from tribrid.corpus.formats import judged_queries, parse_judged_queries, parse_qrels, parse_queries
from tribrid.corpus.runfiles import parse_run, run_lines
from tribrid.errors import InvalidInput
from tribrid.types import JudgedQuery, ScoredDoc

_ids = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
_texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=30).filter(str.strip)
_dataset = st.dictionaries(
    _ids, st.tuples(_texts, st.dictionaries(_ids, st.integers(-2, 3), min_size=1, max_size=4)), min_size=1, max_size=5
)


def built(dataset: dict[str, tuple[str, dict[str, int]]]) -> list[JudgedQuery]:
    return [JudgedQuery(query_id, text, judged) for query_id, (text, judged) in sorted(dataset.items())]


def by_id(queries: list[JudgedQuery]) -> dict[str, JudgedQuery]:
    return {query.query_id: query for query in queries}


@settings(max_examples=30, deadline=None)
@given(_dataset)
def test_json_and_jsonl_keep_everything(dataset: dict[str, tuple[str, dict[str, int]]]) -> None:
    queries = [*built(dataset), JudgedQuery("without judgments", "any text", {})]
    assert parse_jsonl([WRITERS["jsonl"](queries, {})["evalset.jsonl"].encode()]) == queries
    entries = [{"query_id": q.query_id, "text": q.text, "judgments": q.judgments} for q in queries]
    assert parse_judged_queries({"sha256": "x", "queries": entries, "candidates": None}) == queries


@settings(max_examples=30, deadline=None)
@given(_dataset)
def test_trec_and_beir_keep_ids_judgments_and_words(dataset: dict[str, tuple[str, dict[str, int]]]) -> None:
    queries = built(dataset)
    trec = WRITERS["trec"](queries, {})
    back = judged_queries(parse_topics(trec["topics.trec"]), parse_qrels(trec["qrels.txt"]))
    words = [JudgedQuery(q.query_id, " ".join(q.text.split()), q.judgments) for q in queries]
    assert by_id(back) == by_id(words)
    beir = WRITERS["beir"](queries, {})
    texts = parse_queries([beir["queries.jsonl"].encode()])
    assert by_id(judged_queries(texts, parse_qrels(beir["qrels/test.tsv"]))) == by_id(queries)


@settings(max_examples=30, deadline=None)
@given(_dataset)
def test_quepid_knows_a_query_by_its_text(dataset: dict[str, tuple[str, dict[str, int]]]) -> None:
    different = {text.casefold().strip(): (text, judged) for text, judged in dataset.values()}
    queries = [JudgedQuery(str(at), text, judged) for at, (text, judged) in enumerate(different.values())]
    normal = {" ".join(query.text.casefold().split()) for query in queries}
    if len(normal) < len(queries):
        return
    back = parse_quepid(WRITERS["quepid"](queries, {})["quepid.csv"])
    assert [(q.text, q.judgments) for q in back] == [(q.text.strip(), q.judgments) for q in queries]
    assert len({query.query_id for query in back}) == len(queries)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "''-2", "it's", "'quoted'", "a=b"])
def test_no_cell_is_a_formula_and_none_is_another_afterwards(text: str) -> None:
    queries = [JudgedQuery("q", text, {text: 1, "a": 2}), JudgedQuery("r", "tea", {"a": 0})]
    written = WRITERS["quepid"](queries, {})["quepid.csv"]
    cells = [cell for line in written.split("\n") for cell in line.split(",")]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [(q.text, q.judgments) for q in parse_quepid(written)] == [(q.text, q.judgments) for q in queries]


@pytest.mark.parametrize("form", ["topics", "qrels", "run", "trec"])
def test_an_id_with_a_blank_is_in_no_file_of_trecs(form: str) -> None:
    """Readers of these files split at any white space: they would judge another document."""
    queries = [JudgedQuery("a query", "tea", {"a b.md": 1})]
    with pytest.raises(InvalidInput, match=r"holds a blank.*beir"):
        WRITERS[form](queries, {"a query": ["a b.md"]})
    kept = parse_qrels(WRITERS["beir"](queries, {})["qrels/test.tsv"])
    assert kept == {"a query": {"a b.md": 1}}


def test_quepids_own_exports() -> None:
    short = parse_quepid('\ufeffquery,docid,rating\ntea,d1,3\nTea,d2,0\n"green, tea",d1,2.0\nempty,,\n')
    assert [(q.text, dict(q.judgments)) for q in short] == [
        ("tea", {"d1": 3, "d2": 0}),
        ("green, tea", {"d1": 2}),
        ("empty", {}),
    ]
    long = parse_quepid("Team Name,Query Text,Doc ID,Doc Position,Title,Rating\nT,tea,d1,1,A,3\nT,tea,d2,2,B,\n")
    assert [(q.query_id, dict(q.judgments)) for q in long] == [(short[0].query_id, {"d1": 3})]


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_end_as_they_do_anywhere(end: str) -> None:
    (found,) = parse_quepid(end.join(["query,docid,rating", "tea,d1,3", "tea,d2,0", ""]))
    assert (found.text, dict(found.judgments)) == ("tea", {"d1": 3, "d2": 0})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"query,docid,rating\ntea,{'d' * 140_000},1\n", "line 2: field larger than field limit"),
        ("query,doc\ntea,d", "no column 'docid'"),
        ("query,docid,rating\ntea,d1,good\n", "line 2: 'good' is no whole number"),
        ("query,docid,rating\ntea,d1,1\ntea,d1,2\n", "line 3 rates a document again"),
        ("", "no column 'query'"),
    ],
)
def test_ratings_that_are_half_right(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_quepid(text)


@pytest.mark.parametrize(
    "text",
    [
        "<top>\n<num> Number: 301\n<title> International Organized\n Crime &amp; more\n\n<desc> Long:\nLong.\n</top>",
        '<topics><topic number="301"><query>International Organized Crime &amp; more</query></topic></topics>',
        "301\tInternational Organized Crime & more\n\n",
    ],
)
def test_topics_in_each_of_their_forms(text: str) -> None:
    assert parse_topics(text) == {"301": "International Organized Crime & more"}


@pytest.mark.parametrize("text", ["", "no tab here", "<top><num>1</num></top>", "1\ta\n1\tb", "<top><title>x</top>"])
def test_topics_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput, match="topics cannot be read"):
        parse_topics(text)


def test_a_run_goes_by_its_scores_and_is_named_by_what_it_ranks() -> None:
    run = parse_run("q1 Q0 a 1 0.5 solr\nq1 Q0 b 2 7 solr\r\n\nq2\tQ0\tan id\t1\t-1e3\tsolr\n")
    assert run.tag == "solr"
    assert run.lists == {"q1": (ScoredDoc("a", 0.5), ScoredDoc("b", 7.0)), "q2": (ScoredDoc("an id", -1000.0),)}
    assert parse_run("q1 Q0 a 1 0.5 x").sha256 == parse_run("q1 Q0 a 9 0.5 y").sha256
    assert parse_run("q1 Q0 a 1 0.5 x").sha256 != parse_run("q1 Q0 a 1 0.6 x").sha256
    lists = {"q1": ["b", "a"], "q2": ["c"]}
    back = parse_run("".join(run_lines(lists, "t"))).lists
    assert {name: [doc.doc_id for doc in docs] for name, docs in back.items()} == lists


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no line"),
        ("q Q0 a 1 0.5", "line 1 has 5 columns"),
        ("q Q0 a 1 high t", "line 1: the score"),
        ("q Q0 a 1 nan t", "line 1: the score"),
        ("q Q0 a 1 2 t\nq Q0 a 2 1 t", "line 2: query 'q' ranks document 'a' a second time"),
    ],
)
def test_a_run_that_cannot_be_read(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_run(text)
