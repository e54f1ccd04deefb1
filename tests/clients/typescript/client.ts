// A client as somebody would write it. tsc checks it against the types made from the OpenAPI document: what it reads
// must be there, and every @ts-expect-error must be an error.

import type { components, paths } from "./tribrid";

type Schemas = components["schemas"];
type Answer<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method] extends {
  responses: { 200: { content: { "application/json": infer Body } } };
}
  ? Body
  : never;

const BASE = "http://localhost:8000";

async function call<Body>(method: string, path: string, body?: unknown): Promise<Body> {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(BASE + path, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) {
    const problem: Schemas["ProblemBody"] = await response.json();
    throw new Error(`${problem.code}: ${problem.detail} (${problem.request_id})`);
  }
  return response.json();
}

export async function searched(query: string): Promise<string[]> {
  const asked: Schemas["SearchBody"] = { corpus_id: "handbook", query, top_k: 5 };
  const found = await call<Answer<"/search", "post">>("POST", "/search", asked);
  // @ts-expect-error: the answer has no such field
  found.hits;
  return found.results.map((row) => `${row.rank}. ${row.title} (${row.score.toFixed(2)}), by ${found.model_id}`);
}

export async function trained(): Promise<string | null> {
  const asked = { corpus_id: "handbook", epochs: 1 };
  const queued = await call<Schemas["RunAddress"]>("POST", "/reranker/train", asked);
  const run = await call<Answer<"/reranker/train/run/{run_id}", "get">>("GET", queued.status_url);
  const state: "queued" | "running" | "succeeded" | "failed" | "cancelled" = run.state;
  return state === "failed" ? (run.problem?.detail ?? null) : run.model_id;
}

export async function evaluated(): Promise<number | undefined> {
  const answer = await call<Answer<"/reranker/evaluate", "post">>("POST", "/reranker/evaluate", {
    corpus_id: "handbook",
  });
  if (!("verdict" in answer)) {
    return undefined;
  }
  const promoted: boolean = answer.promoted;
  return promoted ? answer.delta?.[answer.primary_measure]?.mean : undefined;
}

export async function reranked(texts: string[]): Promise<number[]> {
  const answer = await call<Answer<"/v1/rerank", "post">>("POST", "/v1/rerank", { query: "leave", documents: texts });
  return "results" in answer ? answer.results.map((row) => row.index) : answer.map((row) => row.index);
}

export function told(line: string): string {
  type Told = paths["/reranker/train/run/{run_id}/metrics"]["get"]["responses"][200]["content"];
  const event: Told["application/x-ndjson"] = JSON.parse(line);
  return `${event.seq} ${event.type} ${event.at}`;
}
