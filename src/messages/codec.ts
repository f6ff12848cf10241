import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type { Message } from "../values/message.js"
import { failure, interrupted, mismatch, thrown } from "./parseFailure.js"
import type { Schemas } from "./views.js"

/** How values become messages, and messages values. What needs no effect gives an `Either`. */
export interface Codec<in Send, out Receive, out RSend, out RReceive> {
  readonly encode: (value: Send) => Effect.Effect<Message, ParseResult.ParseError, RSend>
  readonly decode: (message: Message) => Effect.Effect<Receive, ParseResult.ParseError, RReceive>
}

/** JSON in text messages. Binary ones are received as well, since some servers send them: as UTF-8. */
export const json = <A, IA, RA, B, IB, RB>({ receive, send }: Schemas<A, IA, RA, B, IB, RB>): Codec<A, B, RA, RB> => {
  const encode = encoder(send)
  const decode = decoder(receive)
  return {
    encode: (value) => ParseResult.flatMap(encode(value), stringify),
    decode: (message) => ParseResult.flatMap(parse(message), decode)
  }
}

/** Schemas that make whole messages themselves. */
export const message = <A, IA extends Message, RA, B, IB extends Message, RB>(
  schemas: Schemas<A, IA, RA, B, IB, RB>
): Codec<A, B, RA, RB> => ({ encode: encoder(schemas.send), decode: decoder(schemas.receive) })

const decoder = <A, I, R>(
  schema: Schema.Schema<A, I, R>
): ((value: unknown) => Effect.Effect<A, ParseResult.ParseError, R>) => {
  const decode = ParseResult.decodeUnknown(schema)
  return (value) => guarded(schema, "Decoding", decode, value)
}

const encoder = <A, I, R>(
  schema: Schema.Schema<A, I, R>
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
    return either !== undefined
      ? Either.mapLeft(either, (issue) => mismatch(schema.ast, issue))
      : Effect.catchAllCause(result, (cause) =>
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
    return Either.left(thrown(what, value, error))
  }
}

const parse = (message: Message): Either.Either<unknown, ParseResult.ParseError> => {
  let text: string
  try {
    text = typeof message === "string" ? message : utf8.decode(message)
  } catch {
    return Either.left(failure(message, "Expected JSON, actual binary that is not UTF-8"))
  }
  try {
    return Either.right(JSON.parse(text))
  } catch {
    return Either.left(failure(message, `Expected JSON, actual text of ${text.length} characters that is not`))
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

const stringify = (value: unknown): Either.Either<string, ParseResult.ParseError> => {
  try {
    // It is undefined for what JSON has no word for.
    const text: string | undefined = JSON.stringify(value)
    return text === undefined ? Either.left(failure(value, "Nothing in JSON stands for it")) : Either.right(text)
  } catch (error) {
    return Either.left(thrown("Writing JSON for", value, error))
  }
}
