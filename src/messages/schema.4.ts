import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import type { Issue } from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { isInterrupted } from "../effect/4/dialect.js"
import { interrupted, mismatch, reporting, thrown } from "./parseFailure.4.js"

export const isSchemaError: (u: unknown) => u is Schema.SchemaError = Schema.isSchemaError

/** A schema that is used in one direction. What the other one requires does not matter. */
export type Encoder<A, I, R> = Schema.Codec<A, I, unknown, R>
export type Decoder<A, I, R> = Schema.Codec<A, I, R, unknown>

/** What needs no effect gives an `Exit`. */
export const decoder = <A, I, R>(
  schema: Decoder<A, I, R>
): ((value: unknown) => Effect.Effect<A, Schema.SchemaError, R>) => {
  const decode = SchemaParser.decodeUnknownEffect(schema, reporting)
  return (value) => guarded(schema.ast, "Decoding", decode, value)
}

/** What needs no effect gives an `Exit`. */
export const encoder = <A, I, R>(schema: Encoder<A, I, R>): ((value: A) => Effect.Effect<I, Schema.SchemaError, R>) => {
  const encode = SchemaParser.encodeEffect(schema, reporting)
  return (value) => guarded(schema.ast, "Encoding", encode, value)
}

/** Whatever goes wrong is a `SchemaError` that shows no value, also what a schema throws. */
const guarded = <V, A, R>(
  ast: AST.AST,
  what: string,
  run: (value: V) => Effect.Effect<A, Issue, R>,
  value: V
): Effect.Effect<A, Schema.SchemaError, R> => {
  const refused = (cause: Cause.Cause<Issue>): Schema.SchemaError => {
    const issue = Cause.findErrorOption(cause)
    if (Option.isSome(issue)) return mismatch(ast, issue.value)
    return Cause.hasInterruptsOnly(cause) ? interrupted(what, value) : thrown(what, value, Cause.squash(cause))
  }
  try {
    const result = run(value)
    if (Exit.isExit(result)) {
      const exit = result as Exit.Exit<A, Issue>
      return Exit.isSuccess(exit) ? Exit.succeed(exit.value) : Exit.fail(refused(exit.cause))
    }
    return Effect.catchCause(result, (cause) =>
      Effect.withFiber((fiber) =>
        // Only if somebody has interrupted this fiber: a schema that interrupts itself has failed.
        Cause.hasInterrupts(cause) && isInterrupted(fiber) ? Effect.interrupt : Effect.fail(refused(cause))
      )
    )
  } catch (error) {
    return Exit.fail(thrown(what, value, error))
  }
}
