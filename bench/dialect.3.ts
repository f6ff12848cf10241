/** What a benchmark writes in another way for each line of Effect: for Effect 3. */
import { Socket } from "@effect/platform"
import { NodeSocket } from "@effect/platform-node"
import { Deferred, Effect, FiberSet, Logger, LogLevel, Mailbox, Queue } from "effect"

/** Where the documents are, from the folder of the edition, and what tells its parts of them from those of the other. */
export const house = "."
export const suffix = ""

/**
 * What a scoped `get` may cost, and next to what; what a lease by `use` and by `get` may, and next to what;
 * and how many more requests than over that there are to be.
 */
export const scopedBounds = { against: "scoped-line", least: 1.15, aim: 1 }
export const poolBounds = { against: "effect-pool", least: 0.15, aim: 0.12 }
export const poolGetBounds = { against: "effect-pool", least: 0.75, aim: 0.6 }
// Bare `ws` itself is not far above that: most of what is left is the kernel's.
export const pooledBounds = { least: 4, aim: 4.5 }

export const packages = ["effect", "@effect/platform", "@effect/platform-node", "ws", "undici", "generic-pool", "tarn"]

export const withoutWarnings: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> =
  Logger.withMinimumLogLevel(LogLevel.Error)

/** So many turns of the same effect; each lets other fibers have a turn, too. */
export const yielding = (turn: Effect.Effect<unknown, unknown>, count: number): Effect.Effect<unknown, unknown> =>
  Effect.repeatN(turn, count - 1)

export const socketLabel = "Effect's `Pool` and platform's `Socket`"

/**
 * What one writes to put a `Socket` of the platform into a `Pool`. The handler is a function that returns nothing, and so
 * is called in place: one that returns an effect costs a fiber per message.
 */
export const pooledSocket = (url: string) =>
  Effect.gen(function* () {
    const socket = yield* Socket.makeWebSocket(url)
    const inbox = yield* Mailbox.make<string | Uint8Array>()
    const isOpen = yield* Deferred.make<void>()
    const fibers = yield* FiberSet.make<void, Socket.SocketError>()
    yield* FiberSet.run(
      fibers,
      socket.runRaw((data) => void inbox.unsafeOffer(data), { onOpen: Deferred.succeed(isOpen, undefined) })
    )
    yield* Deferred.await(isOpen)
    return { write: yield* socket.writer, receive: inbox.take }
  }).pipe(Effect.provide(NodeSocket.layerWebSocketConstructor))

/** The same as most would write it: the handler is an effect. */
export const pooledSocketOfEffects = (url: string) =>
  Effect.gen(function* () {
    const socket = yield* Socket.makeWebSocket(url)
    const inbox = yield* Queue.unbounded<string | Uint8Array>()
    const isOpen = yield* Deferred.make<void>()
    yield* Effect.forkScoped(
      socket.runRaw((data) => Queue.offer(inbox, data), { onOpen: Deferred.succeed(isOpen, undefined) })
    )
    yield* Deferred.await(isOpen)
    return { write: yield* socket.writer, receive: Queue.take(inbox) }
  }).pipe(Effect.provide(NodeSocket.layerWebSocketConstructor))
