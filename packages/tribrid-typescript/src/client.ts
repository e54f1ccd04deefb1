import { type CallOptions, exchange, MAX_TIMEOUT_MS } from "./http.js";
import type { components } from "./openapi.js";
import type { Answer, Method, Path, Sent } from "./typed.js";

export type Schemas = components["schemas"];
export type Signal = Schemas["Signal"];

export interface ClientOptions {
  /** The server's address; default: http://127.0.0.1:8000. */
  baseUrl?: string;
  apiKey?: string;
  /** Longest silence of the server; default: 30 s. Long work sends a byte a second. */
  timeoutMs?: number;
}

/** A text, or an object with `text`, perhaps with the `id` that feedback may name, and what else the server reads. */
export type Document = string | { text: string; id?: string; title?: string; metadata?: Record<string, unknown> };

export interface RerankOptions {
  /** Whose reranker it is, and where it is logged. */
  corpus_id?: string;
  /** A corpus, a model version or a local model; without it and `corpus_id` the server's default. */
  model?: string;
  /** Documents that are answered. */
  top_n?: number;
  /** Tells this user's searches from others'. */
  client_id?: string;
  /** The documents too. */
  return_documents?: boolean;
}

/** A Tribrid server. It has no state but its settings, and nothing to close. */
export class TribridClient {
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;

  constructor({ baseUrl = "http://127.0.0.1:8000", apiKey, timeoutMs = 30_000 }: ClientOptions = {}) {
    const address = new URL(baseUrl);
    if (address.search || address.hash) {
      throw new TypeError(`baseUrl is a server's address, without a query: ${baseUrl}`);
    }
    this.#base = address.href.replace(/\/+$/, "");
    this.#headers = apiKey ? { Authorization: `Bearer ${apiKey}` } : {};
    this.#timeoutMs = bounded(timeoutMs);
  }

  /** Rank a corpus's documents for a query. The answer's `query_id` takes feedback. */
  search(
    corpusId: string,
    query: string,
    how: Omit<Schemas["SearchBody"], "corpus_id" | "query"> = {},
    options: CallOptions = {},
  ): Promise<Schemas["SearchAnswer"]> {
    return this.call("/search", "post", { body: { corpus_id: corpusId, query, ...how } }, options);
  }

  /** Put documents in order that were found elsewhere. The answer's `id` takes feedback, where `logged`. */
  async rerank(
    query: string,
    documents: readonly Document[],
    how: RerankOptions = {},
    options: CallOptions = {},
  ): Promise<Schemas["RerankAnswer"]> {
    const answer = await this.call("/rerank", "post", { body: { query, documents, ...how } }, options);
    return answer as Schemas["RerankAnswer"]; // the other form is of calls with `texts`
  }

  /**
   * Tell what a user did with a result: click, dwell (value: seconds), copy, cite, thumbs_up, thumbs_down, rating
   * (value: 1 to 5).
   *
   * @param queryId of a search, or the `id` of a rerank.
   * @param of which document: `doc_id`, or of a rerank `index`, its place in the call.
   */
  feedback(
    queryId: string,
    signal: Signal,
    of: Omit<Schemas["FeedbackBody"], "query_id" | "signal"> = {},
    options: CallOptions = {},
  ): Promise<Schemas["FeedbackAnswer"]> {
    return this.call("/feedback", "post", { body: { query_id: queryId, signal, ...of } }, options);
  }

  /**
   * Any route that answers JSON, by its path and method in the OpenAPI document.
   *
   * @throws TribridError, Unreachable; with `options.signal` its reason.
   */
  async call<P extends Path, M extends Method<P>>(
    path: P,
    method: M,
    sent: Sent<P, M>,
    options: CallOptions = {},
  ): Promise<Answer<P, M>> {
    const given: { path?: object; query?: object; body?: unknown } = sent;
    const url = new URL(this.#base + filled(path, given.path ?? {}));
    for (const [name, value] of Object.entries(given.query ?? {})) {
      for (const one of [value].flat().filter((some) => some !== undefined && some !== null)) {
        url.searchParams.append(name, String(one));
      }
    }
    const init: RequestInit = { method: String(method).toUpperCase(), headers: this.#headers };
    if (given.body !== undefined) {
      init.body = JSON.stringify(given.body);
      init.headers = { ...this.#headers, "Content-Type": "application/json" };
    }
    const timeoutMs = options.timeoutMs === undefined ? this.#timeoutMs : bounded(options.timeoutMs);
    return (await exchange(url, init, timeoutMs, options.signal)) as Answer<P, M>;
  }
}

function filled(path: string, values: object): string {
  const known = new Map(Object.entries(values));
  return path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(known.get(name))));
}

/** A timer takes no more, and would ring at once. */
function bounded(timeoutMs: number): number {
  if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new RangeError(`timeoutMs is above 0 and at most ${MAX_TIMEOUT_MS}, not ${timeoutMs}`);
  }
  return timeoutMs;
}
