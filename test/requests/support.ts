import { Multiplexer, WebSocketPool, type WebSocketTransport } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import { assert } from "#support/vitest"
import { answerCloses, type HandSocket, makeTransport } from "../support/handTransport.js"
import { settle, url } from "../support/memoryPool.js"

const { End, Item, Notice, Refused, Retire } = Multiplexer.Incoming

export type Lines = Multiplexer.Multiplexer<string, string, string>

/**
 * A protocol of lines. To the server: `1 text`, `1 cancel`, `1 ack`. From it: `1 = answer`, `1 + item`, `1 .` (the end),
 * `1 ! failure`, `refused failure`, `notice text`, `ask text` (a notice with a reply), `retire`. Several at once, by commas.
 */
export const decode = (message: WebSocketTransport.Message): ReadonlyArray<Multiplexer.Incoming<string, string>> =>
  String(message)
    .split(",")
    .map((line) => {
      const [first = "", ...rest] = line.split(" ")
      const text = rest.slice(1).join(" ")
      const id = Number(first)
      switch (Number.isNaN(id) ? first : rest[0]) {
        case "=":
          return End({ id, exit: Exit.succeed(text) })
        case "+":
          return Item({ id, value: text })
        case ".":
          return End({ id, exit: Exit.void })
        case "!":
          return End({ id, exit: Exit.fail(text) })
        case "refused":
          return Refused({ error: rest.join(" ") })
        case "notice":
          return Notice({ value: rest.join(" ") })
        case "ask":
          return Notice({ value: rest.join(" "), reply: `reply ${rest.join(" ")}` })
        case "retire":
          return Retire()
        default:
          throw new Error(`nonsense: ${line}`)
      }
    })

const encode = (id: number, request: string): string => {
  if (request === "bad") throw new Error("it holds a secret")
  return `${id} ${request}`
}

/** One that can cancel, one that cannot, and one that gives credit. */
export const cancelling = (): Multiplexer.Codec<string, string, string> => ({
  encode,
  decode,
  cancel: (id) => `${id} cancel`
})
export const mute = (): Multiplexer.Codec<string, string, string> => ({ encode, decode })
export const crediting = (): Multiplexer.Codec<string, string, string> => ({
  ...cancelling(),
  ack: (id) => `${id} ack`
})

/** A multiplexer whose server is played by the test. */
export const scenario = <A, E>(
  options: Partial<Multiplexer.Options<string, string, string>>,
  poolOptions: Partial<WebSocketPool.Options>,
  f: (
    lines: Lines,
    sockets: ReadonlyArray<HandSocket>,
    pool: WebSocketPool.WebSocketPool
  ) => Effect.Effect<A, E, Scope.Scope>,
  behaviour?: Parameters<typeof makeTransport>[0]
): Effect.Effect<A, unknown> => {
  const { layer, sockets } = makeTransport({ onClose: answerCloses, ...behaviour })
  return Effect.gen(function* () {
    const pool = yield* WebSocketPool.WebSocketPool
    const lines = yield* Multiplexer.make({ codec: cancelling, ...options })
    return yield* f(lines, sockets, pool)
  }).pipe(
    Effect.scoped,
    Effect.provide(
      WebSocketPool.layer({
        url,
        name: "main",
        pingInterval: "1 hour",
        validateAfterIdle: "1 hour",
        ...poolOptions
      }).pipe(Layer.provide(layer))
    )
  )
}

/** Starts something, and lets everything happen that can. */
export const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.tap(Effect.forkScoped(effect), settle)

/** The server says something on a connection, and everything happens that follows. */
export const say = (socket: HandSocket | undefined, ...messages: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    for (const message of messages) socket!.message(message)
    return settle
  })

/** What of the statistics differs from zero. */
export const counts = (lines: Pick<Lines, "stats">) =>
  Effect.map(lines.stats, (stats) => Object.fromEntries(Object.entries(stats).filter(([, count]) => count !== 0)))

export const expectSent = (socket: HandSocket | undefined, ...messages: ReadonlyArray<string>): void =>
  assert.deepStrictEqual(socket?.sent, [...messages])
