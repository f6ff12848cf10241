import { Context, Effect, Redacted } from "effect"
import { NodeWebSocketPool } from "effect-websocket-pool/node"

export class Tokens extends Context.Service<Tokens, { readonly next: Effect.Effect<Redacted.Redacted> }>()("Tokens") {}

/** A layer that requires `Tokens`, and asks for a token before every attempt to connect. */
export const layer = (url: string) =>
  NodeWebSocketPool.layer({
    url,
    headers: Effect.gen(function* () {
      const tokens = yield* Tokens
      const token = yield* tokens.next
      return { authorization: `Bearer ${Redacted.value(token)}` }
    })
  })
