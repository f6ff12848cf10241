import { type Deferred, unsafeMake } from "effect/Deferred"
import { none } from "effect/FiberId"

export * from "effect/Deferred"
export { unsafeDone as doneUnsafe } from "effect/Deferred"

export const makeUnsafe = <A, E = never>(): Deferred<A, E> => unsafeMake<A, E>(none)
