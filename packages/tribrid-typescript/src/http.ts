// One request and its answer, with the server's silence bounded: long work sends a byte a second.

import { type Code, type Problem, TribridError, Unreachable } from "./errors.js";

export interface CallOptions {
  /** Ends the call; it then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Longest silence of the server, in place of the client's. */
  timeoutMs?: number;
}

export const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The JSON of an answer; undefined where it has none on purpose. */
export async function exchange(url: URL, init: RequestInit, timeoutMs: number, ended?: AbortSignal): Promise<unknown> {
  const silence = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(new Error(`silent for ${timeoutMs} ms`)), timeoutMs);
  };
  const signal = ended ? AbortSignal.any([silence.signal, ended]) : silence.signal;
  heard();
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { ...init, signal });
    text = await read(response, heard);
  } catch (cause) {
    if (ended?.aborted) {
      throw cause;
    }
    throw new Unreachable(`${url.origin} did not answer: ${said(cause)}.`, { cause });
  } finally {
    clearTimeout(timer);
  }
  return response.status === 204 ? undefined : understood(response, text);
}

async function read(response: Response, heard: () => void): Promise<string> {
  heard();
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = "";
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    heard();
    text += decoder.decode(part.value, { stream: true });
  }
  return text + decoder.decode();
}

/** fetch says "fetch failed", and why in its cause. */
function said(error: unknown): string {
  const why = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return why instanceof Error ? why.message || String(why) : String(why);
}

function understood(response: Response, text: string): unknown {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw new Unreachable(`${response.url} answered ${response.status}, and no JSON.`, { cause });
  }
  if (response.ok && !failed(found)) {
    return found;
  }
  const problem = problemOf(found);
  const wait = Number(response.headers.get("Retry-After") ?? NaN);
  throw new TribridError(
    problem.detail ?? `HTTP ${response.status}`,
    (problem.code ?? "http_error") as Code,
    problem.status ?? response.status,
    problem,
    Number.isNaN(wait) ? null : wait,
  );
}

/** Whether work that takes long ended badly: its status was sent before. */
function failed(found: unknown): found is { problem: Problem } {
  const bad = ["failed", "interrupted", "cancelled"];
  return isObject(found) && bad.includes(String(found["status"])) && isObject(found["problem"]);
}

function problemOf(found: unknown): Problem {
  if (failed(found)) {
    return found.problem;
  }
  return isObject(found) ? found : {};
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
