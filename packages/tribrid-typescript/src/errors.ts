import type { components } from "./openapi.js";

/** The server's codes, and two of the client's own: an answer without a code, and no answer. A newer server may send more. */
export type Code = components["schemas"]["ErrorCode"] | "http_error" | "unreachable";

/** The whole problem (RFC 9457), with the facts of the case. */
export type Problem = Partial<components["schemas"]["ProblemBody"]>;

/** The server refused, or failed. The message says what happened and what to do; `code` is stable. */
export class TribridError extends Error {
  override readonly name: string = "TribridError";

  constructor(
    detail: string,
    readonly code: Code,
    /** Of HTTP; 0 where there was no answer. */
    readonly status: number,
    readonly problem: Problem = {},
    /** Seconds until it may be tried again; null where the server did not say. */
    readonly retryAfterS: number | null = null,
    options?: ErrorOptions,
  ) {
    super(detail, options);
  }
}

/** No answer: no connection, the server was silent for too long, or something that is not Tribrid's. */
export class Unreachable extends TribridError {
  override readonly name = "Unreachable";

  constructor(detail: string, options?: ErrorOptions) {
    super(detail, "unreachable", 0, {}, null, options);
  }
}
