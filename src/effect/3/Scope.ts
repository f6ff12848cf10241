export * from "effect/Scope"
export { type CloseableScope as Closeable, extend as provide } from "effect/Scope"
