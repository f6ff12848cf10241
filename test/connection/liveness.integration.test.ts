import type { Socket } from "node:net"
import { PoolError, WebSocketPool } from "effect-websocket-pool"
import type { WebSocket } from "ws"
import * as Effect from "#effect/Effect"
import * as Schedule from "#effect/Schedule"
import { repeated } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { type Listening, wsServer } from "../fixtures/servers.js"
import { until } from "../support/faults.js"
import { nodePool } from "../support/ownFrames.js"

const KiB = 1024

const urlOf = ({ port }: Listening): string => `ws://127.0.0.1:${port}/`

const rawOf = (peer: WebSocket): Socket => Reflect.get(peer, "_socket")

/** A server whose connections can be made dead: the kernel goes on taking what is sent to them, and nobody answers. */
const mortal = Effect.gen(function* () {
  const peers: Array<WebSocket> = []
  const server = yield* wsServer((peer) => {
    peers.push(peer)
  })
  const die = Effect.sync(() => {
    for (const peer of peers) {
      const raw = rawOf(peer)
      raw.removeAllListeners("data")
      raw.resume()
    }
  })
  return { url: urlOf(server), peers, die }
})

const dead = (error: unknown) => {
  assert.instanceOf(error, PoolError.ConnectionClosedError)
  assert.deepInclude(error, { code: 1006, initiator: "Pool" })
}

const options = { pingInterval: "200 millis", pingTimeout: "400 millis", shutdownTimeout: 0, closeTimeout: 0 } as const

describe("a line that is dead is ended", () => {
  // What the system took of the heartbeat at once counted as a sign of life: only TCP would have ended the line.
  for (const [what, message] of [
    ["text", '{"type":"KeepAlive"}'],
    ["binary", new Uint8Array(512)]
  ] as const) {
    it.live(`under a holder that sends a heartbeat of ${what}`, () =>
      Effect.gen(function* () {
        const { die, url } = yield* mortal
        yield* Effect.gen(function* () {
          const connection = yield* WebSocketPool.get
          yield* die
          const heartbeat = connection.send(message).pipe(Effect.repeat(Schedule.spaced("20 millis")))
          dead(yield* Effect.flip(Effect.raceFirst(connection.receive, heartbeat)))
        }).pipe(Effect.scoped, Effect.provide(nodePool({ ...options, url })))
      })
    )
  }

  it.live("under a holder that sends a heartbeat now and then, further apart than the pings", () =>
    Effect.gen(function* () {
      const { die, url } = yield* mortal
      yield* Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        yield* die
        const heartbeat = connection.send("beat").pipe(Effect.repeat(Schedule.spaced("250 millis")))
        dead(yield* Effect.flip(Effect.raceFirst(connection.receive, heartbeat)))
      }).pipe(Effect.scoped, Effect.provide(nodePool({ ...options, url })))
    })
  )

  it.live("under a holder that repeats a ping, however short it waits for each", () =>
    Effect.gen(function* () {
      const { die, url } = yield* mortal
      yield* Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        yield* die
        const ping = Effect.timeoutOption(connection.ping, "30 millis")
        const error = yield* Effect.flip(Effect.forever(ping))
        dead(error)
      }).pipe(Effect.scoped, Effect.provide(nodePool({ ...options, url, pingInterval: "1 hour" })))
    })
  )

  it.live("under a holder whose send is blocked, since the server reads no more", () =>
    Effect.gen(function* () {
      const { peers, url } = yield* mortal
      yield* Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        for (const peer of peers) rawOf(peer).pause()
        const flood = Effect.forever(connection.send(new Uint8Array(256 * KiB)))
        dead(yield* Effect.flip(flood))
      }).pipe(Effect.scoped, Effect.provide(nodePool({ ...options, url })))
    })
  )
})

describe("a line that is slow is left alone", () => {
  /** A server that reads what comes in small portions, and answers once it has got so many bytes. */
  const slow = (bytes: number) =>
    wsServer((peer) => {
      const raw = rawOf(peer)
      let got = 0
      peer.on("message", (data: Buffer) => {
        got += data.byteLength
        if (got === bytes) peer.send("got it")
      })
      // A portion each time. The system tells the sender of room only once there is much of it, so the portions have to
      // add up to some megabytes within pingTimeout.
      let isReading = true
      const timer = setInterval(() => {
        isReading = !isReading
        if (isReading) raw.resume()
        else raw.pause()
      }, 3)
      raw.on("data", () => raw.pause())
      raw.on("close", () => clearInterval(timer))
    })

  for (const [what, count, size] of [
    ["many messages", 1024, 64 * KiB],
    ["one message", 1, 64 * 1024 * KiB]
  ] as const) {
    it.live(`while ${what} of several MiB go out, with a pingTimeout far shorter than that takes`, () =>
      Effect.gen(function* () {
        const server = yield* slow(count * size)
        yield* Effect.gen(function* () {
          const connection = yield* WebSocketPool.get
          yield* repeated(connection.send(new Uint8Array(size)), count - 1)
          assert.strictEqual(yield* connection.receive, "got it")
          const { closed, healthCheckFailures } = yield* WebSocketPool.stats
          assert.deepStrictEqual({ closed, healthCheckFailures }, { closed: 0, healthCheckFailures: 0 })
        }).pipe(
          Effect.scoped,
          Effect.provide(
            nodePool({
              url: urlOf(server),
              pingInterval: "100 millis",
              pingTimeout: "1500 millis",
              shutdownTimeout: 0
            })
          )
        )
      })
    )
  }

  it.live("while its server answers pings, whatever else it does not say", () =>
    Effect.gen(function* () {
      const { url } = yield* mortal
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const connection = yield* WebSocketPool.get
        const before = yield* connection.info
        yield* Effect.forEach(Array.from({ length: 100 }), () =>
          Effect.andThen(connection.send("beat"), Effect.sleep("10 millis"))
        )
        assert.isAbove((yield* connection.info).lastActivityAt, before.lastActivityAt)
        assert.strictEqual((yield* pool.stats).closed, 0)
      }).pipe(Effect.scoped, Effect.provide(nodePool({ ...options, url })))
    })
  )
})

describe("after an outage on real lines", () => {
  it.live("one get finds out, and the others open new connections", () =>
    Effect.gen(function* () {
      const { die, peers, url } = yield* mortal
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        yield* Effect.scoped(Effect.replicateEffect(pool.get, 6, { concurrency: "unbounded" }))
        yield* die
        yield* until(() => peers.length === 6)
        yield* Effect.sleep("60 millis")
        const ids = yield* Effect.replicateEffect(pool.get, 6)
        assert.strictEqual(new Set(ids.map(({ id }) => id)).size, 6)
        // None of them could be lent while it was dead: each was opened for its get.
        const { opened } = yield* pool.stats
        assert.strictEqual(opened, 12)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          nodePool({
            url,
            maxConnections: 6,
            pingInterval: "1 hour",
            validateAfterIdle: "50 millis",
            pingTimeout: "1 minute",
            shutdownTimeout: 0,
            closeTimeout: 0
          })
        )
      )
    })
  )
})
