import { GenericTag, type Tag } from "effect/Context"

export * from "effect/Context"
export { unsafeGet as getUnsafe } from "effect/Context"

export const Service = GenericTag
export type Service<Self, Shape> = Tag<Self, Shape>
export type Key<Self, Shape> = Tag<Self, Shape>
