import { type PoolError, type PoolEvent, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import type * as Config from "#effect/Config"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { poll } from "#support/fibers"
import { assert } from "#support/vitest"

/** The server's end of a connection, and what came through it. */
export interface Peer extends WebSocketTransport.MemoryPeer {
  /** The messages that the handler has received. */
  readonly received: ReadonlyArray<WebSocketTransport.Message>
  /** How the connection ended, as the handler saw it. */
  readonly ended: PoolError.ConnectionClosedError | undefined
}

/** What the server sees. */
export class Server extends Context.Service<
  Server,
  {
    /** Every connection there has been, in order. */
    readonly peers: ReadonlyArray<Peer>
    /** Every handshake there has been, refused ones included. */
    readonly handshakes: ReadonlyArray<WebSocketTransport.MemoryHandshake>
  }
>()("test/Server") {}

export type Handler = (peer: Peer) => Effect.Effect<unknown, unknown, Scope.Scope>

export type Accept = (handshake: WebSocketTransport.MemoryHandshake) => Effect.Effect<unknown, number>

/** A server that only receives. */
export const listen: Handler = (peer) => Effect.forever(peer.receive)

/** A server that answers each message with the same. */
export const echo: Handler = (peer) => Effect.forever(Effect.flatMap(peer.receive, peer.send))

/** A server that sends something first, then only receives. */
export const greet =
  (...messages: ReadonlyArray<WebSocketTransport.Message>): Handler =>
  (peer) =>
    Effect.andThen(
      Effect.forEach(messages, (message) => peer.send(message)),
      listen(peer)
    )

const record = (peer: WebSocketTransport.MemoryPeer): Peer => {
  const received: Array<WebSocketTransport.Message> = []
  const recorded = {
    ...peer,
    received,
    ended: undefined as PoolError.ConnectionClosedError | undefined,
    receive: peer.receive.pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          recorded.ended = error
        })
      ),
      Effect.tap((message) => Effect.sync(() => received.push(message)))
    )
  }
  return recorded
}

export const url = "ws://server.test/path"

/** The server alone, for tests that make their pools themselves. */
export const server = (
  handler: Handler = listen,
  accept: Accept = () => Effect.void
): Layer.Layer<Server | WebSocketTransport.WebSocketTransport> =>
  Layer.unwrap(
    Effect.sync(() => {
      const peers: Array<Peer> = []
      const handshakes: Array<WebSocketTransport.MemoryHandshake> = []
      const transport = WebSocketTransport.layerMemory(
        (memoryPeer) => {
          const peer = record(memoryPeer)
          peers.push(peer)
          return handler(peer)
        },
        {
          accept: (handshake) => {
            handshakes.push(handshake)
            return accept(handshake)
          }
        }
      )
      return Layer.merge(transport, Layer.succeed(Server, { peers, handshakes }))
    })
  )

export type Options = WebSocketPool.Options<Scope.Scope, Scope.Scope, Scope.Scope, Scope.Scope, Scope.Scope>

/** Lets the time go on while the pool shuts down, so that no test has to wait for what a silent server leaves open. */
export const goingOn = <A, E, R>(pool: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.suspend(() => {
    let time: Fiber.Fiber<void> | undefined
    const join = Layer.effectDiscard(Effect.addFinalizer(() => (time === undefined ? Effect.void : Fiber.join(time))))
    const goOn = Layer.effectDiscard(
      Effect.addFinalizer(() =>
        Effect.map(Effect.forkDetach(TestClock.adjust("1 minute")), (fiber) => {
          time = fiber
        })
      )
    )
    return goOn.pipe(Layer.provideMerge(pool), Layer.provideMerge(join))
  })

/** A pool of connections to a server in memory. */
export const poolWith = (
  options: Partial<Options> = {},
  handler: Handler = listen,
  accept?: Accept
): Layer.Layer<WebSocketPool.WebSocketPool | Server, Config.ConfigError> =>
  Layer.provideMerge(goingOn(WebSocketPool.layer({ url, ...options })), server(handler, accept))

/** The server's ends of all connections so far. */
export const peers = Effect.map(Server, ({ peers }) => peers)

/** Lets everything run that can at this moment. */
export const settle = TestClock.adjust(0)

/** Asserts that a fiber has not ended yet. */
export const notYet = (fiber: Fiber.Fiber<unknown, unknown>): void =>
  assert.isUndefined(poll(fiber), "it has ended already")

/** Asserts that a fiber has ended, and gives what it has ended with. */
export const now = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    assert.isDefined(poll(fiber), "it has not ended yet")
    return Fiber.join(fiber)
  })

/** Asserts that an error, or an event, is of this kind. */
export const expectTag: <A extends { readonly _tag: string }, const Tag extends A["_tag"]>(
  value: A,
  tag: Tag
) => asserts value is Extract<A, { readonly _tag: Tag }> = (value, tag) => assert.strictEqual(value._tag, tag)

/** Collects a pool's events from now on. */
export const collect = (
  pool: WebSocketPool.WebSocketPool
): Effect.Effect<ReadonlyArray<PoolEvent.PoolEvent>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const events: Array<PoolEvent.PoolEvent> = []
    yield* Effect.forkScoped(Stream.runForEach(pool.events, (event) => Effect.sync(() => events.push(event))))
    yield* settle
    return events
  })
