import { failure, thrown } from "#edition/messages/parseFailure"
import { decoder, encoder } from "#edition/messages/schema"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Schema from "#effect/Schema"
import type { Message } from "../values/message.js"
import type { Schemas } from "./views.js"

/** How values become messages, and messages values. What needs no effect gives an `Exit`. */
export interface Codec<in Send, out Receive, out RSend, out RReceive> {
  readonly encode: (value: Send) => Effect.Effect<Message, Schema.SchemaError, RSend>
  readonly decode: (message: Message) => Effect.Effect<Receive, Schema.SchemaError, RReceive>
}

/** JSON in text messages. Binary ones are received as well, since some servers send them: as UTF-8. */
export const json = <A, IA, RA, B, IB, RB>({ receive, send }: Schemas<A, IA, RA, B, IB, RB>): Codec<A, B, RA, RB> => {
  const encode = encoder(send)
  const decode = decoder(receive)
  return {
    encode: (value) => thenAtOnce(encode(value), stringify),
    decode: (message) => thenAtOnce(parse(message), decode)
  }
}

/** Schemas that make whole messages themselves. */
export const message = <A, IA extends Message, RA, B, IB extends Message, RB>(
  schemas: Schemas<A, IA, RA, B, IB, RB>
): Codec<A, B, RA, RB> => ({ encode: encoder(schemas.send), decode: decoder(schemas.receive) })

/** What an effect comes to, if that is known without running it. */
export const exitOf = <A, E, R>(self: Effect.Effect<A, E, R>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(self) ? (self as Exit.Exit<A, E>) : undefined

/** `flatMap` that makes no effect of what needs none. */
const thenAtOnce = <A, B, E, R, R2>(
  self: Effect.Effect<A, E, R>,
  f: (value: A) => Effect.Effect<B, E, R2>
): Effect.Effect<B, E, R | R2> => {
  const exit = exitOf(self)
  if (exit === undefined) return Effect.flatMap(self, f)
  return Exit.isSuccess(exit) ? f(exit.value) : Exit.failCause(exit.cause)
}

const parse = (message: Message): Exit.Exit<unknown, Schema.SchemaError> => {
  let text: string
  try {
    text = typeof message === "string" ? message : utf8.decode(message)
  } catch {
    return Exit.fail(failure(message, "Expected JSON, actual binary that is not UTF-8"))
  }
  try {
    return Exit.succeed(JSON.parse(text))
  } catch {
    return Exit.fail(failure(message, `Expected JSON, actual text of ${text.length} characters that is not`))
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

const stringify = (value: unknown): Exit.Exit<string, Schema.SchemaError> => {
  try {
    // It is undefined for what JSON has no word for.
    const text: string | undefined = JSON.stringify(value)
    return text === undefined ? Exit.fail(failure(value, "Nothing in JSON stands for it")) : Exit.succeed(text)
  } catch (error) {
    return Exit.fail(thrown("Writing JSON for", value, error))
  }
}
