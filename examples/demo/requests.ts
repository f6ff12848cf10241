/** Many requests at once on each connection: the server's echo comes back with the number that it was sent with. */
import { Effect, Exit, type Scope } from "effect"
import { Multiplexer, type WebSocketPool } from "effect-websocket-pool"
import { isNotice, rejection } from "./server.js"

const answer = /^(rejected: )?(\d+)> (.*)$/

const codec = (): Multiplexer.Codec<string, string, string> => ({
  encode: (id, text) => `${id}> ${text}`,
  decode: (message) => {
    const [, refused, id, text = ""] = answer.exec(String(message)) ?? []
    if (id === undefined || isNotice(message)) return [Multiplexer.Incoming.Notice({ value: message })]
    const exit = refused === undefined ? Exit.succeed(text) : Exit.fail(rejection(text))
    return [Multiplexer.Incoming.End({ id: Number(id), exit })]
  }
})

/** Sends so many at once, and says how many were answered, rightly, and over how many connections. */
export const burst = (
  many: number
): Effect.Effect<
  { readonly answered: number; readonly connections: number },
  never,
  WebSocketPool.WebSocketPool | Scope.Scope
> =>
  Effect.gen(function* () {
    const requests = yield* Multiplexer.make({ codec, concurrency: 50, maxConnections: 8 })
    let connections = 0
    const one = (n: number) =>
      requests.request(`question ${n}`).pipe(
        Effect.timeout("1 second"),
        // A refusal is an answer, too.
        Effect.catchIf(
          (error) => typeof error === "string",
          (refusal) => Effect.succeed(refusal.slice(rejection("").length))
        ),
        Effect.map((echo) => echo === `question ${n}`),
        Effect.zipLeft(
          Effect.map(requests.stats, (stats) => {
            connections = Math.max(connections, stats.connections)
          })
        ),
        Effect.orElseSucceed(() => false)
      )
    const all = yield* Effect.forEach(
      Array.from({ length: many }, (_, index) => index),
      one,
      { concurrency: "unbounded" }
    )
    return { answered: all.filter((isRight) => isRight).length, connections }
  }).pipe(Effect.orDie)
