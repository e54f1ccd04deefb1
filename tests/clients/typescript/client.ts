// @tribrid/client as somebody would use it, against a real server. tsc checks it first: what it reads must be there, and
// every @ts-expect-error must be an error. Then node runs it and it prints what came as JSON:
//
//     node client.js http://127.0.0.1:8000 corpus http://127.0.0.1:9009 http://127.0.0.1:9010 http://127.0.0.1:9011
//
// At the last three addresses a server says nothing, a server answers slowly, and nobody listens.

import { type Answer, type Document, type Schemas, TribridClient, TribridError, Unreachable } from "@tribrid/client";

declare const process: { argv: string[] };

const QUERY = "soup in the kitchen";
const TEXTS: Document[] = ["The proxy.", { id: "typed/soup.md", text: "A kitchen has pasta and soup." }, "Night."];
const [url, corpus, mute, slow, closed] = process.argv.slice(2) as [string, string, string, string, string];
const client = new TribridClient({ baseUrl: `${url}/` });

async function searched() {
  const found = await client.search(corpus, QUERY, { top_k: 3 });
  // @ts-expect-error: the answer has no such field
  found.hits;
  const told = await client.feedback(found.query_id, "click", { doc_id: found.results[1]!.doc_id });
  return { order: found.results.map((row) => row.doc_id), model: found.model_id, told };
}

async function reranked() {
  const how = { corpus_id: corpus, top_n: 2, return_documents: true };
  const answer = await client.rerank(QUERY, TEXTS, how);
  const told = await client.feedback(answer.id, "rating", { index: answer.results[0]!.index, value: 5 });
  // @ts-expect-error: nobody does that to a result
  const wrong: Parameters<typeof client.feedback>[1] = "applause";
  return { order: answer.results.map((row) => row.index), text: answer.results[0]!.document, told, wrong };
}

async function called() {
  const made = await client.call("/corpora", "post", { body: { corpus_id: "typed", name: "Typed" } });
  const added = await client.call("/corpora/{corpus_id}/documents", "post", {
    path: { corpus_id: "typed" },
    body: [{ doc_id: "a b/c?d", text: "Soup\nand tea." }],
  });
  const path = { corpus_id: "typed", doc_id: "a b/c?d" };
  const read = await client.call("/corpora/{corpus_id}/documents/{doc_id}", "get", { path });
  const status = await client.call("/reranker/status", "get", { query: { corpus_id: "typed" } });
  const everywhere = await client.call("/reranker/status", "get", { query: { corpus_id: null } });
  const mined = await client.call("/reranker/mine", "post", { body: { corpus_id: corpus, sources: ["judgments"] } });
  const gone: undefined = await client.call("/corpora/{corpus_id}", "delete", { path: { corpus_id: "typed" } });
  // @ts-expect-error: there is no such method of the route
  const wrong = () => client.call("/search", "get", {});
  // @ts-expect-error: a corpus has to be named
  const nameless = () => client.call("/corpora/{corpus_id}", "get", {});
  return {
    made: made.corpus_id,
    read: read.text,
    of: [status.corpus_id, everywhere.corpus_id],
    added,
    mined,
    gone: gone === undefined,
    never: [typeof wrong, typeof nameless],
  };
}

// Only checked.
export async function evaluated(): Promise<number | undefined> {
  const answer: Answer<"/reranker/evaluate", "post"> = await client.call("/reranker/evaluate", "post", {
    body: { corpus_id: corpus },
  });
  if (!("verdict" in answer)) {
    return undefined;
  }
  const promoted: boolean = answer.promoted;
  return promoted ? answer.delta?.[answer.primary_measure]?.mean : undefined;
}

// Only checked.
export function trained(run: Schemas["TrainingRun"]): string | null {
  const state: "queued" | "running" | "succeeded" | "failed" | "cancelled" = run.state;
  return state === "failed" ? (run.problem?.detail ?? null) : run.model_id;
}

function endedLater() {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 100);
  return new TribridClient({ baseUrl: mute }).search(corpus, QUERY, {}, { signal: controller.signal });
}

async function raised(call: () => Promise<unknown>) {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof TribridError)) {
      return { name: error instanceof Error ? error.name : error };
    }
    // @ts-expect-error: no error has this code
    const wrong: boolean = error.code === "corpus_lost";
    const { name, code, status, message, problem, retryAfterS } = error;
    return { name, code, status, message, problem, retryAfterS, unreachable: error instanceof Unreachable, wrong };
  }
}

const ended = AbortSignal.abort("enough");
const mine = { body: { corpus_id: corpus } };

const found = {
  searched: await searched(),
  reranked: await reranked(),
  called: await called(),
  refused: await raised(() => client.search("nowhere", QUERY)),
  failed: await raised(() => new TribridClient({ baseUrl: slow }).call("/reranker/mine", "post", mine)),
  lost: await raised(() => new TribridClient({ baseUrl: `${url}/nowhere` }).search(corpus, QUERY)),
  silent: await raised(() => client.search(corpus, QUERY, {}, { timeoutMs: 1 })),
  ended: await raised(() => client.search(corpus, QUERY, {}, { signal: ended })),
  later: await raised(endedLater),
  quiet: await raised(() => new TribridClient({ baseUrl: mute, timeoutMs: 300 }).search(corpus, QUERY)),
  slow: await raised(() => new TribridClient({ baseUrl: slow, timeoutMs: 2000 }).search(corpus, QUERY)),
  closed: await raised(() => new TribridClient({ baseUrl: closed }).search(corpus, QUERY)),
  query: await raised(async () => new TribridClient({ baseUrl: "http://localhost:8000?corpus_id=notes" })),
  endless: await raised(async () => new TribridClient({ timeoutMs: Infinity })),
};
console.log(JSON.stringify(found));
