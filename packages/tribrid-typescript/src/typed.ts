// What a route takes and answers, read off the types that are made from the OpenAPI document.

import type { paths } from "./openapi.js";

export type Path = keyof paths;

/** The methods that a path has. */
export type Method<P extends Path> = {
  [M in keyof paths[P]]-?: paths[P][M] extends { responses: unknown } ? M : never;
}[keyof paths[P]];

type Parameters<O> = O extends { parameters: infer Given } ? Pick<Given, keyof Given & ("path" | "query")> : never;

type Body<O> = O extends { requestBody: { content: { "application/json": infer Json } } }
  ? { body: Json }
  : O extends { requestBody?: { content: { "application/json": infer Json } } }
    ? { body?: Json }
    : { body?: never };

/** What is sent: `path` and `query`, as the document names them, and `body`. */
export type Sent<P extends Path, M extends Method<P>> = Parameters<paths[P][M]> & Body<paths[P][M]>;

type Success<R> = {
  [Status in keyof R]: Status extends 200 | 201 | 202
    ? R[Status] extends { content: { "application/json": infer Json } }
      ? Json
      : never
    : Status extends 204
      ? undefined
      : never;
}[keyof R];

/** The JSON that comes; undefined where nothing does. */
export type Answer<P extends Path, M extends Method<P>> = paths[P][M] extends { responses: infer R } ? Success<R> : never;
