/** A pool per key, with Effect's `LayerMap`: what the recipe "Many endpoints" says. */

import { PoolError, WebSocketPool } from "effect-websocket-pool"
import type { ConfigError } from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { ask, Regions } from "#examples/layer-map"
import { isConfigError, isMissing } from "#support/configErrors"
import { withConfig } from "#support/fibers"
import { open, withoutDependencies } from "#support/layerMap"
import { logger } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { echo, type Handler, notYet, now, Server, server, settle } from "../support/memoryPool.js"

const configured = withConfig({
  URL_EU: "ws://eu.test",
  URL_US: "ws://us.test",
  URL_AT: "http://no-websocket.test"
})

/** The map of the example, with a server in memory. */
const withRegions =
  (handler: Handler = echo) =>
  <A, E>(body: Effect.Effect<A, E, Regions | Server | Scope.Scope>): Effect.Effect<A, E> =>
    body.pipe(Effect.scoped, Effect.provide(Layer.provideMerge(withoutDependencies, server(handler))), configured)

const hosts = Effect.map(Server, ({ handshakes }) => handshakes.map(({ url }) => new URL(url).hostname))

/** How the connections have ended, in the order of their opening. */
const codes = Effect.andThen(
  settle,
  Effect.map(Server, ({ peers }) => peers.map(({ ended }) => ended?.code))
)

/** Makes a map, and closes it at the end. */
const withMap = Effect.provide(withoutDependencies)

describe("a pool per key", () => {
  it.effect("is opened when it is first asked for, and shared from then on", () =>
    withRegions()(
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* hosts, [])
        assert.strictEqual(yield* ask("EU", "one"), "one")
        assert.strictEqual(yield* ask("US", "two"), "two")
        assert.strictEqual(yield* ask("EU", "three"), "three")
        assert.deepStrictEqual(yield* hosts, ["eu.test", "us.test"])
      })
    )
  )

  it.effect("is one for all who ask for it at the same time", () =>
    withRegions((peer) => Effect.andThen(Effect.sleep("1 second"), echo(peer)))(
      Effect.gen(function* () {
        const statsOf = Effect.provide(WebSocketPool.stats, Regions.get("EU"))
        const asking = yield* Effect.forkChild(
          Effect.forEach(["a", "b", "c"], (question) => ask("EU", question), { concurrency: "unbounded" })
        )
        yield* settle
        assert.strictEqual((yield* statsOf).busy, 3)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* now(asking), ["a", "b", "c"])
      })
    )
  )

  it.effect("is closed when it has not been used for idleTimeToLive, and opened again after that", () =>
    withRegions()(
      Effect.gen(function* () {
        yield* ask("EU", "one")
        yield* TestClock.adjust("4 minutes")
        yield* ask("EU", "two")
        const before = yield* hosts
        yield* TestClock.adjust("299999 millis")
        assert.deepStrictEqual(yield* open, ["EU"])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* open, [])
        assert.strictEqual(yield* ask("EU", "three"), "three")
        assert.deepStrictEqual(yield* hosts, [...before, "eu.test"])
      })
    )
  )

  it.effect("is kept open by a lease, however long that is held inside of provide", () =>
    withRegions()(
      Effect.gen(function* () {
        const holding = yield* Effect.forkChild(
          WebSocketPool.use((connection) =>
            Effect.andThen(
              Effect.sleep("10 minutes"),
              Effect.andThen(connection.send("still there"), connection.receive)
            )
          ).pipe(Effect.provide(Regions.get("EU")))
        )
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(yield* now(holding), "still there")
        assert.deepStrictEqual(yield* codes, [undefined])
      })
    )
  )

  it.effect("waits for nobody whose lease is wider than provide: it closes shutdownTimeout after idleTimeToLive", () =>
    withRegions()(
      Effect.gen(function* () {
        // The layer is released here, the lease only with the scope of the test.
        const connection = yield* Effect.provide(WebSocketPool.get, Regions.get("EU"))
        yield* TestClock.adjust("5 minutes")
        yield* TestClock.adjust("4999 millis")
        yield* connection.send("fine")
        assert.strictEqual(yield* connection.receive, "fine")
        const receiving = yield* Effect.forkChild(Effect.flip(connection.receive))
        yield* settle
        notYet(receiving)
        yield* TestClock.adjust("1 millis")
        const error = yield* now(receiving)
        assert.instanceOf(error, PoolError.ConnectionClosedError)
        assert.strictEqual(error.initiator, "Pool")
        assert.strictEqual(error.code, 1001)
      })
    )
  )

  it.effect("can be held by a scope of one's own, together with its leases", () =>
    withRegions()(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const context = yield* Scope.provide(Layer.build(Regions.get("EU")), scope)
        const connection = yield* Effect.provide(Scope.provide(WebSocketPool.get, scope), context)
        yield* TestClock.adjust("10 minutes")
        yield* connection.send("fine")
        assert.strictEqual(yield* connection.receive, "fine")
        yield* Scope.close(scope, Exit.void)
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(yield* open, [])
      })
    )
  )

  it.effect("holds up nobody while it closes: the next who asks gets a new one at once", () =>
    withRegions()(
      Effect.gen(function* () {
        yield* Effect.provide(WebSocketPool.get, Regions.get("EU"))
        yield* TestClock.adjust("5 minutes")
        const asking = yield* Effect.forkChild(ask("EU", "now"))
        yield* settle
        assert.strictEqual(yield* now(asking), "now")
        // For these five seconds there are the sockets of both.
        assert.deepStrictEqual(yield* codes, [undefined, undefined])
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* codes, [1001, undefined])
      })
    )
  )

  it.effect("has its connections replaced by refresh", () =>
    withRegions()(
      Effect.gen(function* () {
        yield* ask("EU", "one")
        const pool = yield* Effect.provide(WebSocketPool.WebSocketPool, Regions.get("EU"))
        yield* pool.refresh
        yield* ask("EU", "two")
        assert.deepStrictEqual(yield* codes, [1000, undefined])
      })
    )
  )
})

describe("log lines of a pool", () => {
  it.effect.each([
    { where: "inside of provide", leak: [] },
    { where: "around provide", leak: ["request"] }
  ])("have the annotations of whoever opened it if these are $where", ({ leak, where }) =>
    Effect.gen(function* () {
      const annotated: Array<string> = []
      const observed = logger(({ annotations }) => annotated.push(...Object.keys(annotations)))
      const annotate = Effect.annotateLogs("request", "1")
      const provide = Effect.provide(Regions.get("EU"))
      const scope = yield* Scope.make()
      const get = Scope.provide(WebSocketPool.get, scope)
      const closing = yield* Effect.forkChild(
        withMap(where === "around provide" ? annotate(provide(get)) : provide(annotate(get))).pipe(
          Effect.provide(observed)
        )
      )
      // It warns of the lease that is still out.
      yield* TestClock.adjust("5 seconds")
      yield* now(closing)
      yield* Scope.close(scope, Exit.void)
      assert.include(annotated, "pool")
      assert.deepStrictEqual(
        annotated.filter((key) => key === "request"),
        leak
      )
    }).pipe(Effect.provide(server(echo)), configured)
  )
})

describe("a key that does not work", () => {
  it.effect("is told by get and use, as ever, and is tried anew each time: no failure to connect is kept", () => {
    let isUp = false
    return Effect.gen(function* () {
      const asking = yield* Effect.forkChild(Effect.flip(ask("EU", "one")))
      yield* TestClock.adjust("5 seconds")
      const error = yield* now(asking)
      assert.instanceOf(error, PoolError.ConnectionUnavailableError)
      assert.strictEqual(error.pool, "EU")
      isUp = true
      assert.strictEqual(yield* ask("EU", "two"), "two")
    }).pipe(
      Effect.provide(
        Layer.provide(
          withoutDependencies,
          server(echo, () => Effect.suspend(() => (isUp ? Effect.void : Effect.fail(503))))
        )
      ),
      configured
    )
  })

  it.effect.each(["AT", "nowhere"])("is a ConfigError if its options are wrong: %s", (region) =>
    withRegions()(
      Effect.gen(function* () {
        const error = yield* Effect.flip(ask(region, "hello"))
        assert.isTrue(isConfigError(error))
        assert.strictEqual(isMissing(error as ConfigError), region !== "AT")
        assert.strictEqual(yield* ask("EU", "hello"), "hello")
      })
    )
  )
})

describe("closing the map", () => {
  it.effect("closes every pool", () =>
    Effect.gen(function* () {
      yield* withMap(Effect.andThen(ask("EU", "one"), ask("US", "two")))
      assert.deepStrictEqual(yield* codes, [1001, 1001])
    }).pipe(Effect.provide(server(echo)), configured)
  )

  it.effect("takes shutdownTimeout for each pool with a lease out, since LayerMap closes one after the other", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const get = (region: string) => Scope.provide(Effect.provide(WebSocketPool.get, Regions.get(region)), scope)
      const closing = yield* Effect.forkChild(withMap(Effect.andThen(get("EU"), get("US"))))
      yield* settle
      notYet(closing)
      yield* TestClock.adjust("5 seconds")
      notYet(closing)
      assert.deepStrictEqual(yield* codes, [1001, undefined])
      yield* TestClock.adjust("4999 millis")
      notYet(closing)
      yield* TestClock.adjust("1 millis")
      yield* now(closing)
      assert.deepStrictEqual(yield* codes, [1001, 1001])
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(server(echo)), configured)
  )

  it.effect("waits for a pool that is closing already", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const closing = yield* Effect.forkChild(
        withMap(
          Effect.andThen(
            Scope.provide(Effect.provide(WebSocketPool.get, Regions.get("EU")), scope),
            Effect.sleep("302 seconds")
          )
        )
      )
      yield* TestClock.adjust("304999 millis")
      notYet(closing)
      assert.deepStrictEqual(yield* codes, [undefined])
      yield* TestClock.adjust("1 millis")
      yield* now(closing)
      assert.deepStrictEqual(yield* codes, [1001])
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(server(echo)), configured)
  )
})
