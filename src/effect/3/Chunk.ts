export * from "effect/Chunk"
export { unsafeFromArray as fromArrayUnsafe } from "effect/Chunk"
