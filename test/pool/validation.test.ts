import { type PoolEvent, WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { answerCloses, answerPings, type HandSocket, makeTransport } from "../support/handTransport.js"
import { collect, notYet, now, peers, poolWith, settle, url } from "../support/memoryPool.js"

/** Leases so many connections at once and gives them back; says which. */
const warm = (connections: number) =>
  Effect.scoped(Effect.map(Effect.replicateEffect(WebSocketPool.get, connections), (all) => all.map(({ id }) => id)))

const silence = (...indices: ReadonlyArray<number>) =>
  Effect.flatMap(peers, (all) => Effect.forEach(indices, (index) => all[index]!.silence, { discard: true }))

const fork = Effect.tap(Effect.forkScoped(WebSocketPool.get), settle)
const forkNew = Effect.tap(Effect.forkScoped(WebSocketPool.getNew), settle)

const closings = (events: ReadonlyArray<PoolEvent.PoolEvent>) =>
  events.flatMap((event) => (event._tag === "ConnectionClosed" ? [event.reason] : []))

const idOf = <E>(fiber: Fiber.Fiber<{ readonly id: string }, E>) => Effect.map(now(fiber), ({ id }) => id)

const never = Duration.infinity

/** Nothing happens to idle connections but validation. */
const options = { pingInterval: never, idleTimeout: never, closeTimeout: "2 seconds" } as const

/** As many idle connections as there may be, all of them dead, and one get that has found that out. */
const outage = (connections: number) =>
  Effect.gen(function* () {
    const before = yield* warm(connections)
    yield* silence(...before.keys())
    yield* TestClock.adjust("6 seconds")
    const get = yield* fork
    yield* TestClock.adjust("999 millis")
    notYet(get)
    yield* TestClock.adjust("1 millis")
    assert.notInclude(before, yield* idOf(get))
    return before
  })

describe("after an outage", () => {
  // Each failed validation pinged the other dead lines anew, and the bytes of that ping counted as their life.
  it.effect("one get pays a second, and all others nothing", () =>
    Effect.gen(function* () {
      const before = yield* outage(6)
      for (let n = 1; n < 6; n++) assert.notInclude(before, yield* idOf(yield* fork))
      const { busy, healthCheckFailures, total } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ busy, healthCheckFailures, total }, { busy: 6, healthCheckFailures: 6, total: 6 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, maxConnections: 6 })))
  )

  it.effect("getNew pays nothing either, and one place serves one getNew", () =>
    Effect.gen(function* () {
      const before = yield* outage(3)
      const gets = [yield* forkNew, yield* forkNew]
      for (const get of gets) assert.notInclude(before, yield* idOf(get))
      const third = yield* forkNew
      notYet(third)
      assert.strictEqual((yield* WebSocketPool.stats).waiting, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, maxConnections: 3 })))
  )

  it.effect("those below the limit open new ones at once, and leave the suspects alone", () =>
    Effect.gen(function* () {
      const before = yield* outage(3)
      const second = yield* fork
      assert.notInclude(before, yield* idOf(second))
      const { busy, closed, total } = yield* WebSocketPool.stats
      // The two suspects show as busy, as everything that is checked.
      assert.deepStrictEqual({ busy, closed, total }, { busy: 4, closed: 1, total: 4 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, maxConnections: 10 })))
  )

  it.effect("suspects are closed at pingTimeout, and not before", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* outage(3)
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(closings(events), ["Unhealthy"])
      assert.strictEqual((yield* WebSocketPool.stats).total, 3)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(closings(events), ["Unhealthy", "Unhealthy", "Unhealthy"])
      const { healthCheckFailures, total } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ healthCheckFailures, total }, { healthCheckFailures: 3, total: 1 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, pingTimeout: "10 seconds" })))
  )

  it.effect("those who wait in line get the places of suspects, first come, first served", () =>
    Effect.gen(function* () {
      yield* warm(3)
      yield* silence(0, 1, 2)
      yield* TestClock.adjust("6 seconds")
      const gets = [yield* fork, yield* fork, yield* fork, yield* fork]
      yield* TestClock.adjust("1 second")
      for (const get of gets.slice(0, 3)) yield* now(get)
      notYet(gets[3]!)
      assert.strictEqual((yield* peers).length, 6)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, maxConnections: 3 })))
  )

  it.effect("suspects are replaced up to minConnections once they are closed", () =>
    Effect.gen(function* () {
      yield* settle
      yield* outage(2)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* WebSocketPool.stats).healthCheckFailures, 2)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* WebSocketPool.stats).total, 2)
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, minConnections: 2 })))
  )
})

describe("suspects", () => {
  it.effect("that answer are lent again", () =>
    Effect.gen(function* () {
      const before = yield* warm(4)
      // The scope has given the first one back last, so it is the next to be lent.
      yield* silence(0)
      const next = before[0]!
      yield* TestClock.adjust("6 seconds")
      const get = yield* fork
      notYet(get)
      yield* TestClock.adjust("1 second")
      assert.notInclude(before, yield* idOf(get))
      const others = [yield* idOf(yield* fork), yield* idOf(yield* fork), yield* idOf(yield* fork)]
      assert.sameMembers(
        others,
        before.filter((id) => id !== next)
      )
      assert.strictEqual((yield* WebSocketPool.stats).healthCheckFailures, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, maxConnections: 4 })))
  )

  /** A transport whose socket with this number answers pings, and whose others do not any more once `isOut`. */
  const handMade = () => {
    const control = { isOut: false }
    const transport = makeTransport({
      onPing: (socket) => {
        if (!control.isOut) answerPings(socket)
      },
      onClose: (socket) => {
        if (!control.isOut) answerCloses(socket)
      }
    })
    return { control, transport }
  }

  it.effect("are not lent before they have answered, however late in their time that is", () => {
    const { control, transport } = handMade()
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ ...options, url, maxConnections: 3, validateAfterIdle: "5 seconds" })
      const before = yield* Effect.scoped(
        Effect.map(Effect.replicateEffect(pool.get, 2), (all) => all.map(({ id }) => id))
      )
      control.isOut = true
      yield* TestClock.adjust("6 seconds")
      const first = yield* Effect.forkScoped(pool.get)
      yield* TestClock.adjust("1 second")
      assert.notInclude(before, yield* idOf(first))
      const suspect = transport.sockets.find((socket) => !socket.isGone && socket.pings.length > 0)!
      const id = before[transport.sockets.indexOf(suspect)]!

      // While it has not answered, a get opens another one rather than get this one.
      const second = yield* Effect.tap(Effect.forkScoped(pool.get), settle)
      assert.notInclude(before, yield* idOf(second))
      assert.strictEqual(transport.live(), 3)

      yield* TestClock.adjust("9998 millis")
      suspect.pong()
      const third = yield* Effect.tap(Effect.forkScoped(pool.get), settle)
      assert.strictEqual(yield* idOf(third), id)
      yield* TestClock.adjust("10 seconds")
      assert.isFalse(suspect.isGone)
      control.isOut = false
      assert.strictEqual((yield* pool.stats).healthCheckFailures, 1)
    }).pipe(Effect.scoped, Effect.provide(transport.layer))
  })

  it.effect("give up their place without a closing handshake", () => {
    const { control, transport } = handMade()
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ ...options, url, maxConnections: 2, validateAfterIdle: "5 seconds" })
      yield* Effect.scoped(Effect.replicateEffect(pool.get, 2))
      control.isOut = true
      yield* TestClock.adjust("6 seconds")
      const first = yield* Effect.forkScoped(pool.get)
      yield* TestClock.adjust("1 second")
      yield* now(first)
      yield* now(yield* Effect.tap(Effect.forkScoped(pool.get), settle))
      const old = transport.sockets.slice(0, 2)
      assert.deepStrictEqual(
        old.map(({ closes, isDestroyed }) => ({ closes, isDestroyed })),
        Array(2).fill({ closes: [], isDestroyed: true })
      )
      control.isOut = false
    }).pipe(Effect.scoped, Effect.provide(transport.layer))
  })

  it.effect("are not closed for a get that another place is about to serve", () => {
    const { control, transport } = handMade()
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ ...options, url, maxConnections: 3, validateAfterIdle: "5 seconds" })
      yield* Effect.scoped(Effect.replicateEffect(pool.get, 3))
      control.isOut = true
      yield* TestClock.adjust("6 seconds")
      const first = yield* Effect.forkScoped(pool.get)
      yield* TestClock.adjust("1 second")
      yield* now(first)
      // The two suspects answer before anybody asks for a place.
      for (const socket of transport.sockets.slice(0, 3)) if (!socket.isGone) socket.pong()
      control.isOut = false
      yield* now(yield* Effect.tap(Effect.forkScoped(pool.get), settle))
      yield* now(yield* Effect.tap(Effect.forkScoped(pool.get), settle))
      assert.strictEqual(transport.sockets.length, 4)
      assert.strictEqual((yield* pool.stats).closed, 1)
    }).pipe(Effect.scoped, Effect.provide(transport.layer))
  })

  it.effect("are replaced by refresh", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* outage(3)
      yield* WebSocketPool.WebSocketPool.pipe(Effect.flatMap(({ refresh }) => refresh))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(closings(events), ["Unhealthy", "Refreshed", "Refreshed"])
      assert.strictEqual((yield* WebSocketPool.stats).total, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith(options)))
  )

  it.effect("go first when resize leaves no room for them", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* outage(3)
      const pool = yield* WebSocketPool.WebSocketPool
      yield* pool.resize({ maxConnections: 1 })
      // Dead as they may be, they are gone at once.
      yield* settle
      const { busy, closing, total } = yield* pool.stats
      assert.deepStrictEqual({ busy, closing, total }, { busy: 1, closing: 0, total: 1 })
      assert.strictEqual(closings(events).length, 3)
    }).pipe(Effect.scoped, Effect.provide(poolWith(options)))
  )

  it.effect("do not keep the pool open: closing takes no longer than closeTimeout", () =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      yield* Effect.scoped(outage(3))
      const closing = yield* Effect.forkChild(pool.close)
      yield* TestClock.adjust("1999 millis")
      notYet(closing)
      yield* TestClock.adjust("1 millis")
      yield* now(closing)
      const { closed, opened, state, total } = yield* pool.stats
      assert.deepStrictEqual({ closed, opened, state, total }, { closed: 4, opened: 4, state: "closed", total: 0 })
    }).pipe(Effect.scoped, Effect.provide(poolWith(options)))
  )

  it.effect("that expire are closed then, and not at pingTimeout", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* outage(2)
      assert.strictEqual((yield* WebSocketPool.stats).total, 2)
      // Three seconds until it expires, and two for a closing handshake that nobody answers.
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(closings(events), ["Unhealthy", "Expired"])
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ ...options, connectionTTL: "10 seconds", pingTimeout: "1 minute" }))
    )
  )
})

describe("suspects of a healthCheck", () => {
  it.effect("are not lent until it has succeeded, and give up their place", () => {
    let isOut = false
    const ran: Array<string> = []
    return Effect.gen(function* () {
      const before = yield* warm(3)
      isOut = true
      yield* TestClock.adjust("6 seconds")
      const get = yield* fork
      yield* TestClock.adjust("1 second")
      assert.notInclude(before, yield* idOf(get))
      assert.sameMembers(ran, before)
      for (let n = 0; n < 2; n++) assert.notInclude(before, yield* idOf(yield* fork))
      const { closed, total } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ closed, total }, { closed: 3, total: 3 })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({
          ...options,
          maxConnections: 3,
          healthCheck: ({ id }) =>
            Effect.suspend(() => {
              ran.push(id)
              return isOut ? Effect.never : Effect.void
            })
        })
      )
    )
  })

  it.effect("are lent when it succeeds late", () => {
    let isOut = false
    let runs = 0
    return Effect.gen(function* () {
      const before = yield* warm(2)
      isOut = true
      yield* TestClock.adjust("6 seconds")
      const get = yield* fork
      yield* TestClock.adjust("1 second")
      assert.notInclude(before, yield* idOf(get))
      yield* TestClock.adjust("5 seconds")
      assert.include(before, yield* idOf(yield* fork))
      assert.strictEqual((yield* WebSocketPool.stats).opened, 3)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({
          ...options,
          // The first never ends, the other takes its time; that succeeds is no word of the server, so it runs once more.
          healthCheck: () =>
            Effect.suspend(() => {
              if (isOut) runs += 1
              return runs === 1 ? Effect.never : runs === 2 ? Effect.sleep("5 seconds") : Effect.void
            })
        })
      )
    )
  })
})

describe("a connection that ends in its validation is not lent", () => {
  // Whoever had waited for the validation was granted the connection, whatever had become of it.
  it.effect("when its server begins to close right behind the pong", () => {
    const transport = makeTransport({
      onPing: (socket) =>
        queueMicrotask(() => {
          // The close frame follows the pong: the socket has seen it, and has not told yet how the connection ends.
          socket.isOpen = false
          socket.pong()
        }),
      onClose: answerCloses
    })
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ ...options, url, validateAfterIdle: "5 seconds" })
      const { id } = yield* pool.use((connection) => Effect.succeed({ id: connection.id }))
      yield* TestClock.adjust("6 seconds")
      const get = yield* Effect.tap(Effect.forkScoped(pool.get), settle)
      assert.notStrictEqual(yield* idOf(get), id)
      transport.sockets[0]!.lose(1012)
      yield* settle
      assert.strictEqual((yield* pool.stats).total, 1)
    }).pipe(Effect.scoped, Effect.provide(transport.layer))
  })

  it.effect("when its server begins to close right behind the pong, at the limit", () => {
    const transport = makeTransport({
      onPing: (socket: HandSocket) =>
        queueMicrotask(() => {
          socket.isOpen = false
          socket.pong()
        }),
      onClose: answerCloses
    })
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ ...options, url, maxConnections: 1, validateAfterIdle: "5 seconds" })
      const { id } = yield* pool.use((connection) => Effect.succeed({ id: connection.id }))
      yield* TestClock.adjust("6 seconds")
      const get = yield* Effect.tap(Effect.forkScoped(pool.get), settle)
      notYet(get)
      transport.sockets[0]!.lose(1012)
      yield* settle
      assert.notStrictEqual(yield* idOf(get), id)
    }).pipe(Effect.scoped, Effect.provide(transport.layer))
  })

  for (const [how, code] of [
    ["closes it", undefined],
    ["closes it with a code of its own", 4000]
  ] as const) {
    it.effect(`when its healthCheck ${how}`, () =>
      Effect.gen(function* () {
        const events = yield* collect(yield* WebSocketPool.WebSocketPool)
        const [id] = yield* warm(1)
        yield* TestClock.adjust("6 seconds")
        assert.notStrictEqual(yield* idOf(yield* fork), id)
        yield* settle
        assert.deepStrictEqual(closings(events), ["Closed"])
      }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, healthCheck: ({ close }) => close(code) })))
    )
  }

  it.effect("when its healthCheck discards it", () =>
    Effect.gen(function* () {
      const [id] = yield* warm(1)
      yield* TestClock.adjust("6 seconds")
      assert.notStrictEqual(yield* idOf(yield* fork), id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, healthCheck: ({ discard }) => discard })))
  )
})
