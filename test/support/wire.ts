import { PoolError, type WebSocketConnection, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { poll, repeated } from "#support/fibers"
import { assert } from "#support/vitest"

type Message = WebSocketTransport.Message

/** One connection as the server sees it. */
export interface Peer extends WebSocketTransport.MemoryPeer {
  /** What has been received so far. */
  readonly heard: Array<Message>
  /** Why the server's side ended; waits until it has. */
  readonly ended: Effect.Effect<PoolError.ConnectionClosedError>
  /** The same, if it has. */
  readonly end: () => PoolError.ConnectionClosedError | undefined
}

interface ServerOptions {
  /** What it does on a connection beyond listening; it answers through the peer. */
  readonly onPeer?: ((peer: Peer, index: number) => Effect.Effect<unknown, unknown, Scope.Scope>) | undefined
  /** What it does with each message. */
  readonly onMessage?: ((peer: Peer, message: Message, index: number) => Effect.Effect<unknown, unknown>) | undefined
  readonly accept?: ((handshake: WebSocketTransport.MemoryHandshake) => Effect.Effect<unknown, number>) | undefined
  /** Whether it receives what clients send. */
  readonly reads?: boolean | undefined
}

/** A server in memory that keeps book of its connections, and the transport to it. */
export const makeServer = (options: ServerOptions = {}) => {
  const peers: Array<Peer> = []
  const waiting: Array<{ readonly index: number; readonly deferred: Deferred.Deferred<Peer> }> = []
  const counts = { live: 0, most: 0, sockets: 0, mostSockets: 0, pings: 0, closes: [] as Array<number> }

  const serve = (raw: WebSocketTransport.MemoryPeer) =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<PoolError.ConnectionClosedError>()
      let end: PoolError.ConnectionClosedError | undefined
      const index = peers.length
      const peer: Peer = { ...raw, heard: [], ended: Deferred.await(ended), end: () => end }
      peers.push(peer)
      counts.live += 1
      counts.most = Math.max(counts.most, counts.live)
      yield* Effect.addFinalizer(() => Effect.sync(() => (counts.live -= 1)))
      for (const waiter of waiting.splice(0)) {
        if (waiter.index < peers.length) yield* Deferred.succeed(waiter.deferred, peers[waiter.index]!)
        else waiting.push(waiter)
      }
      if (options.onPeer !== undefined) yield* Effect.forkScoped(options.onPeer(peer, index))
      if (options.reads === false) return yield* Effect.never
      const listen = Effect.flatMap(raw.receive, (message) => {
        peer.heard.push(message)
        return options.onMessage === undefined ? Effect.void : options.onMessage(peer, message, index)
      })
      yield* Effect.catch(Effect.forever(listen), (error) => {
        if (!(error instanceof PoolError.ConnectionClosedError)) return Effect.die(error)
        end = error
        return Deferred.succeed(ended, error)
      })
    })

  const spy = (socket: WebSocketTransport.TransportSocket): WebSocketTransport.TransportSocket => ({
    protocol: socket.protocol,
    get isOpen() {
      return socket.isOpen
    },
    get bufferedAmount() {
      return socket.bufferedAmount
    },
    get progress() {
      return socket.progress
    },
    send: (message) => socket.send(message),
    ping: (payload) => {
      counts.pings += 1
      socket.ping(payload)
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: (code, reason) => {
      counts.closes.push(code)
      socket.close(code, reason)
    },
    destroy: () => socket.destroy()
  })

  const layer = Layer.effect(
    WebSocketTransport.WebSocketTransport,
    Effect.map(
      WebSocketTransport.WebSocketTransport,
      (transport): WebSocketTransport.WebSocketTransport => ({
        connect: (request, events) =>
          transport.connect(request, {
            onOpen: (socket) => {
              counts.sockets += 1
              counts.mostSockets = Math.max(counts.mostSockets, counts.sockets)
              events.onOpen(spy(socket))
            },
            onMessage: (message, bytes) => events.onMessage(message, bytes),
            onPong: (payload) => events.onPong(payload),
            onFlush: () => events.onFlush(),
            onEnd: (info) => events.onEnd(info),
            onGone: () => {
              counts.sockets -= 1
              events.onGone()
            }
          })
      })
    )
  ).pipe(Layer.provide(WebSocketTransport.layerMemory(serve, { accept: options.accept })))

  return {
    layer,
    peers,
    counts,
    /** The connection with this number; waits until it is there. */
    peer: (index: number): Effect.Effect<Peer> =>
      Effect.suspend(() => {
        const peer = peers[index]
        if (peer !== undefined) return Effect.succeed(peer)
        return Effect.flatMap(Deferred.make<Peer>(), (deferred) => {
          waiting.push({ index, deferred })
          return Deferred.await(deferred)
        })
      })
  }
}

export type Server = ReturnType<typeof makeServer>

/** Sends back what it gets. */
export const echo = (options: Omit<ServerOptions, "onMessage"> = {}): Server =>
  makeServer({ ...options, onMessage: (peer, message) => peer.send(message) })

/** Gives way so many times. */
export const yields = (times: number): Effect.Effect<void> =>
  Effect.forEach(Array.from({ length: times }), () => Effect.yieldNow, { discard: true })

/** Every so often Effect's scheduler goes on by `setTimeout`, which yields alone would starve. */
const turn = Effect.callback<void>((resume) => {
  setTimeout(() => resume(Effect.void), 0)
})

/** Lets everything run that can. */
export const settle: Effect.Effect<void> = repeated(Effect.andThen(yields(30), turn), 2)

export const url = "ws://server.test/path"

/** Options under which nothing happens by itself. */
export const quiet = {
  url,
  pingInterval: Duration.infinity,
  validateAfterIdle: Duration.infinity,
  idleTimeout: Duration.infinity
} as const

type Options = WebSocketPool.Options<never, never, never, never, never>

export const layerOf = (server: Server, options: Partial<Options> = {}) =>
  Layer.provide(WebSocketPool.layer({ ...quiet, ...options }), server.layer)

/** Closes a pool while the clock moves on, and asserts that nothing of it is left. */
export const closes = (pool: WebSocketPool.WebSocketPool, server: Server, close = pool.close): Effect.Effect<void> =>
  Effect.gen(function* () {
    const closing = yield* Effect.forkChild(close)
    yield* settle
    if (poll(closing) === undefined) {
      yield* TestClock.adjust("1 minute")
      yield* settle
    }
    assert.isDefined(poll(closing), "close has not ended")
    yield* settle
    const stats = yield* pool.stats
    assert.strictEqual(stats.state, "closed")
    assert.strictEqual(stats.total, 0)
    assert.strictEqual(stats.waiting, 0)
    assert.strictEqual(stats.opened, stats.closed, "opened = closed in the end")
    assert.strictEqual(stats.acquired, stats.released, "acquired = released in the end")
    assert.strictEqual(server.counts.sockets, 0, "no socket is left")
    const stray = server.peers.filter((peer) => peer.end() === undefined).length
    if (server.counts.live > 0) assert.isAtMost(server.counts.live, stray)
  })

/**
 * Runs a test on a pool of its own, then closes it and asserts that nothing is left. Every lease of the test
 * ends before that.
 */
export const scenario = <A, E>(
  server: Server,
  options: Partial<Options>,
  body: (pool: WebSocketPool.WebSocketPool) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const pool = yield* Effect.orDie(Scope.provide(WebSocketPool.make({ ...quiet, ...options }), scope))
    const exit = yield* Effect.exit(Effect.scoped(body(pool)))
    if (Exit.isSuccess(exit)) yield* closes(pool, server, Scope.close(scope, Exit.void))
    return yield* exit
  }).pipe(Effect.provide(server.layer))

/** A lease that the test ends when it likes. */
export const lease = (
  pool: WebSocketPool.WebSocketPool,
  how: "get" | "getNew" = "get"
): Effect.Effect<
  {
    readonly connection: WebSocketConnection.WebSocketConnection
    readonly release: Effect.Effect<void>
    readonly end: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
  },
  PoolError.AcquireError,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const outer = yield* Effect.scope
    const scope = yield* Scope.fork(outer, outer.strategy)
    const connection = yield* Scope.provide(pool[how], scope)
    const end = (exit: Exit.Exit<unknown, unknown>) => Scope.close(scope, exit)
    return { connection, release: end(Exit.void), end }
  })

/** Whether a fiber still runs. */
export const isRunning = (fiber: Fiber.Fiber<unknown, unknown>): boolean => poll(fiber) === undefined
