import { GenericTag, Tag, type TagClass } from "effect/Context"

export * from "effect/Context"
export { unsafeGet as getUnsafe } from "effect/Context"

const makeService = (key?: string): unknown => (key === undefined ? (id: string) => Tag(id)() : GenericTag(key))

export const Service = makeService as {
  <Self, Shape = Self>(key: string): Tag<Self, Shape>
  <Self, Shape>(): <const Id extends string>(id: Id) => TagClass<Self, Id, Shape>
}
export type Service<Self, Shape> = Tag<Self, Shape>
export type Key<Self, Shape> = Tag<Self, Shape>
