export { type ClientOptions, type Document, type RerankOptions, type Schemas, type Signal, TribridClient } from "./client.js";
export { type Code, type Problem, TribridError, Unreachable } from "./errors.js";
export type { CallOptions } from "./http.js";
export type { components, paths } from "./openapi.js";
export type { Answer, Method, Path, Sent } from "./typed.js";
