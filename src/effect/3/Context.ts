import { GenericTag, Tag, type TagClass } from "effect/Context"

export * from "effect/Context"
export { unsafeGet as getUnsafe } from "effect/Context"

export function Service<Self, Shape = Self>(key: string): Tag<Self, Shape>
export function Service<Self, Shape>(): <const Id extends string>(id: Id) => TagClass<Self, Id, Shape>
export function Service(key?: string): unknown {
  return key === undefined ? (id: string) => Tag(id)() : GenericTag(key)
}
export type Service<Self, Shape> = Tag<Self, Shape>
export type Key<Self, Shape> = Tag<Self, Shape>
