/** What opens connections, 100 at a time, and keeps them without using them. */
import { Effect, identity, Pool, type Scope } from "effect"
import type { WebSocket } from "ws"
import { pooledSocket } from "#bench/dialect"
import { NodeWebSocketTransport } from "../src/node.js"
import type { TransportSocket } from "../src/WebSocketTransport.js"
import { makePool, open, openUndici } from "./peers.js"

export type Hold = (url: string, count: number) => Effect.Effect<unknown, unknown, Scope.Scope>

const atATime = 100

/** By so many fibers in all, as `promised` has so many loops. */
const eachOf = <A, E, R>(count: number, effect: Effect.Effect<A, E, R>, workers = atATime) =>
  Effect.suspend(() => {
    let begun = 0
    const worker = Effect.whileLoop({ while: () => begun++ < count, body: () => effect, step: ignore })
    return Effect.all(
      Array.from({ length: workers }, () => worker),
      { concurrency: "unbounded", discard: true }
    )
  })

const promised = <A>(count: number, make: () => Promise<A>, workers = atATime): Promise<Array<A>> => {
  const made: Array<A> = []
  let begun = 0
  const worker = async () => {
    while (begun < count) {
      begun += 1
      made.push(await make())
    }
  }
  return Promise.all(Array.from({ length: workers }, worker)).then(() => made)
}

const ignore = () => {}

/** The listeners that a program needs; all sockets share them. */
const listening = async (url: string): Promise<WebSocket> => {
  const socket = await open(url)
  socket.on("message", ignore)
  socket.on("close", ignore)
  return socket
}

const bareSockets = (url: string, count: number, workers?: number) =>
  Effect.acquireRelease(
    Effect.promise(() => promised(count, () => listening(url), workers)),
    (sockets) =>
      Effect.promise(() =>
        Promise.all(
          sockets.map((socket) => {
            const closed = new Promise((resolve) => socket.once("close", resolve))
            socket.close()
            return closed
          })
        )
      )
  )

const bare: Hold = (url, count) => bareSockets(url, count)

const bareAtOnce: Hold = (url, count) => bareSockets(url, count, count)

const pingInterval = 30_000

/** The heartbeat that one adds to notice dead lines. */
const barePings: Hold = (url, count) =>
  Effect.flatMap(bareSockets(url, count), (sockets) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        setInterval(() => {
          for (const socket of sockets) socket.ping()
        }, pingInterval)
      ),
      (timer) => Effect.sync(() => clearInterval(timer))
    )
  )

/** All are leased at once, so each is another one. */
const leasedPool: Hold = (url, count) =>
  Effect.flatMap(makePool({ url, maxConnections: count }), (pool) => eachOf(count, pool.get))

/** The same, and then they idle. */
const pool: Hold = (url, count) =>
  Effect.flatMap(makePool({ url, maxConnections: count }), (pool) => Effect.scoped(eachOf(count, pool.get)))

/** With default options what idles is closed after a minute, unless it is kept open. */
const keptPool: Hold = (url, count) => makePool({ url, minConnections: count, maxConnections: count })

/** As connections come about that are opened when there is something to do: each has its own moment to be pinged at. */
const spreadPool: Hold = (url, count) =>
  Effect.gen(function* () {
    const pool = yield* makePool({ url, maxConnections: count })
    const steps = 300
    for (let step = 1; step <= steps; step++) {
      yield* pool.resize({ minConnections: Math.round((step * count) / steps) })
      yield* Effect.sleep(pingInterval / steps)
    }
    yield* pool.ready
  })

/** What the pool stands on: an effect for each, and no more of Effect. */
const transportAlone = (
  url: string,
  count: number,
  workers?: number,
  each: <A, E>(open: Effect.Effect<A, E>) => Effect.Effect<A, E> = identity
) => {
  const { connect } = NodeWebSocketTransport.make({})
  const request = { url, protocols: [], headers: {}, maxPayload: 1024 * 1024, closeTimeout: 1000 }
  const sockets: Array<TransportSocket> = []
  let left = count
  let allGone = ignore
  const open = Effect.suspend(() =>
    connect(request, {
      onOpen: (socket) => sockets.push(socket),
      onGone: () => {
        left -= 1
        if (left === 0) allGone()
      },
      ...{ onMessage: ignore, onPong: ignore, onFlush: ignore, onEnd: ignore }
    })
  )
  const close = Effect.async<void>((resume) => {
    allGone = () => resume(Effect.void)
    for (const socket of sockets) socket.close(1000, "")
  })
  return Effect.acquireRelease(eachOf(count, each(open), workers), () => close)
}

const transport: Hold = (url, count) => transportAlone(url, count)

const transportAtOnce: Hold = (url, count) => transportAlone(url, count, count)

/** As a pool has to open: who has asked may leave, and what is being opened goes on. */
const transportForked: Hold = (url, count) =>
  transportAlone(url, count, atATime, (open) =>
    Effect.async((resume) => {
      Effect.runFork(open).addObserver(resume)
    })
  )

const makeEffectPool = (url: string, count: number) =>
  Pool.makeWithTTL({ acquire: pooledSocket(url), min: 0, max: count, timeToLive: "1 hour" })

const leasedEffectPool: Hold = (url, count) =>
  Effect.flatMap(makeEffectPool(url, count), (pool) => eachOf(count, Pool.get(pool)))

const effectPool: Hold = (url, count) =>
  Effect.flatMap(makeEffectPool(url, count), (pool) => Effect.scoped(eachOf(count, Pool.get(pool))))

const undici: Hold = (url, count) =>
  Effect.acquireRelease(
    Effect.promise(() => promised(count, () => openUndici(url))),
    (sockets) =>
      Effect.promise(() =>
        Promise.all(
          sockets.map((socket) => {
            const closed = new Promise((resolve) => {
              socket.onclose = resolve
            })
            socket.close()
            return closed
          })
        )
      )
  )

export const holders = {
  nothing: { label: "a process without connections", hold: () => Effect.void },
  bare: { label: "bare `ws`, no pool", hold: bare },
  "bare-at-once": { label: "bare `ws`, no pool", hold: bareAtOnce },
  "transport-at-once": { label: "the transport alone, no pool", hold: transportAtOnce },
  "pool-at-once": { label: "`WebSocketPool`, `minConnections`", hold: keptPool },
  "bare-pings": { label: "bare `ws`, a ping every 30 s", hold: barePings },
  pool: { label: "`WebSocketPool`", hold: pool },
  "pool-leased": { label: "`WebSocketPool`", hold: leasedPool },
  "pool-given-back": { label: "the same, and given back", hold: pool },
  transport: { label: "the transport alone, no pool", hold: transport },
  "transport-forked": { label: "the same, a fiber for each", hold: transportForked },
  "kept-pool": { label: "`WebSocketPool`, default options", hold: keptPool },
  "spread-pool": { label: "the same, opened in the course of 30 s", hold: spreadPool },
  undici: { label: "undici's `WebSocket`, no pool", hold: undici },
  "effect-pool": { label: "Effect's `Pool` and platform's `Socket`", hold: effectPool },
  "effect-pool-leased": { label: "Effect's `Pool` and platform's `Socket`", hold: leasedEffectPool }
} as const satisfies Record<string, { readonly label: string; readonly hold: Hold }>

export type HolderName = keyof typeof holders
