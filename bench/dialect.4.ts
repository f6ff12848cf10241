/** What a benchmark writes in another way for each line of Effect: for Effect 4. */
import { NodeSocket } from "@effect/platform-node"
import { Effect, Queue, References } from "effect"
import * as Socket from "effect/socket/Socket"
import { turns } from "./harness.js"

/** Where the documents are, from the folder of the edition, and what tells its parts of them from those of the other. */
export const house = "../.."
export const suffix = "-4"

/**
 * What a scoped `get` may cost, and next to what; what a lease by `use` and by `get` may, and next to what;
 * and how many more requests than over that there are to be.
 */
export const scopedBounds = { against: "bare", least: 1.4, aim: 1.2 }
export const poolBounds = { against: "clocked", least: 1.2, aim: 1.1 }
export const poolGetBounds = { against: "scoped", least: 1.1, aim: 1 }
export const pooledBounds = { least: 1.4, aim: 1.6 }

export const packages = ["effect", "@effect/platform-node", "ws", "undici", "generic-pool", "tarn"]

export const withoutWarnings: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> =
  Effect.provideService(References.MinimumLogLevel, "Error")

/** So many turns of the same effect. Whoever runs for long lets others have a turn by itself. */
export const yielding = (turn: Effect.Effect<unknown, unknown>, count: number): Effect.Effect<unknown, unknown> =>
  turns(count, turn)

export const socketLabel = "Effect's `Pool` and `Socket`"

/** What one writes to put a `Socket` into a `Pool`: it is pulled when a reply is wanted. */
export const pooledSocket = (url: string) =>
  Effect.gen(function* () {
    const socket = yield* Socket.makeWebSocket(url)
    const { pull } = yield* socket.reader
    const { write } = yield* socket.writer
    return { write, receive: Effect.map(pull, ([message]) => message) }
  }).pipe(Effect.provide(NodeSocket.layerWebSocketConstructor))

/** The same with a queue and a fiber that fills it, so that nothing of a chunk is lost. */
export const pooledSocketOfEffects = (url: string) =>
  Effect.gen(function* () {
    const socket = yield* Socket.makeWebSocket(url)
    const { pull } = yield* socket.reader
    const { write } = yield* socket.writer
    const inbox = yield* Queue.unbounded<string | Uint8Array>()
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(pull, (chunk) => Queue.offerAll(inbox, chunk))))
    return { write, receive: Queue.take(inbox) }
  }).pipe(Effect.provide(NodeSocket.layerWebSocketConstructor))
