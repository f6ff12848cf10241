import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import { interrupted, mismatch, thrown } from "./parseFailure.3.js"

export const isSchemaError: (u: unknown) => u is ParseResult.ParseError = ParseResult.isParseError

/** A schema that is used in one direction. */
export type Encoder<A, I, R> = Schema.Schema<A, I, R>
export type Decoder<A, I, R> = Schema.Schema<A, I, R>

/** What needs no effect gives an `Exit`. */
export const decoder = <A, I, R>(
  schema: Decoder<A, I, R>
): ((value: unknown) => Effect.Effect<A, ParseResult.ParseError, R>) => {
  const decode = ParseResult.decodeUnknown(schema)
  return (value) => guarded(schema, "Decoding", decode, value)
}

/** What needs no effect gives an `Exit`. */
export const encoder = <A, I, R>(
  schema: Encoder<A, I, R>
): ((value: A) => Effect.Effect<I, ParseResult.ParseError, R>) => {
  const encode = ParseResult.encode(schema)
  return (value) => guarded(schema, "Encoding", encode, value)
}

/** Whatever goes wrong is a `ParseError` that shows no value, also what a schema throws. */
const guarded = <V, A, R>(
  schema: Schema.Schema.All,
  what: string,
  run: (value: V) => Effect.Effect<A, ParseResult.ParseIssue, R>,
  value: V
): Effect.Effect<A, ParseResult.ParseError, R> => {
  try {
    const result = run(value)
    const either = ParseResult.eitherOrUndefined(result)
    if (either !== undefined) {
      return Either.isRight(either) ? Exit.succeed(either.right) : Exit.fail(mismatch(schema.ast, either.left))
    }
    return Effect.catchAllCause(result, (cause) =>
      Effect.flatMap(FiberRef.get(FiberRef.interruptedCause), (interruption) => {
        // Only if somebody has interrupted this fiber: a schema that interrupts itself has failed.
        if (Cause.isInterrupted(cause) && !Cause.isEmpty(interruption)) return Effect.interrupt
        const found = Cause.failureOrCause(cause)
        if (Either.isLeft(found)) return Effect.fail(mismatch(schema.ast, found.left))
        return Effect.fail(
          Cause.isInterruptedOnly(cause) ? interrupted(what, value) : thrown(what, value, Cause.squash(cause))
        )
      })
    )
  } catch (error) {
    return Exit.fail(thrown(what, value, error))
  }
}
