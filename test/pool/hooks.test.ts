import { PoolError, type PoolEvent, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as TestClock from "#effect/testing/TestClock"
import { logger } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { collect, peers, poolWith, settle } from "../support/memoryPool.js"

type Hook = NonNullable<WebSocketPool.Options["onConnect"]>

/** What JavaScript lets a hook return. */
const hook = (result: () => unknown): Hook => Reflect.get({ hook: () => result() } as object, "hook")

const results: ReadonlyArray<readonly [what: string, result: () => unknown, says: RegExp]> = [
  ["a promise", () => Promise.resolve("done"), /promise.*Effect\.(tryPromise|promise)/],
  ["a promise that rejects", () => Promise.reject(new Error("boom")), /promise.*Effect\.(tryPromise|promise)/],
  ["undefined", () => undefined, /undefined/],
  ["null", () => null, /null|object/],
  ["a number", () => 42, /number/],
  ["an array", () => [Effect.void], /array/]
]

/** Collects rejections that nobody has handled while a test runs. */
const rejections = Effect.acquireRelease(
  Effect.sync(() => {
    const unhandled: Array<unknown> = []
    const listener = (reason: unknown) => unhandled.push(reason)
    process.on("unhandledRejection", listener)
    return { unhandled, listener }
  }),
  ({ listener }) => Effect.sync(() => process.off("unhandledRejection", listener))
)

/** Rejections are told of after a turn of the event loop. */
const turn = Effect.callback<void>((resume) => void setTimeout(() => resume(Effect.void), 0))

const warnings = () => {
  const messages: Array<string> = []
  return { messages, layer: logger(({ cause, message }) => messages.push(`${message} ${cause}`), "Warn") }
}

const reasons = (events: ReadonlyArray<PoolEvent.PoolEvent>) =>
  events.flatMap((event) => (event._tag === "ConnectionClosed" ? [event.reason] : []))

const unavailable = (error: unknown) => {
  assert.instanceOf(error, PoolError.ConnectionUnavailableError)
  return error
}

const failure = Effect.map(Effect.flip(Effect.scoped(WebSocketPool.get)), unavailable)

describe("a hook that returns no effect", () => {
  for (const [what, result, says] of results) {
    it.effect(`onConnect, ${what}: a failed setup that says so, and is not tried again`, () =>
      Effect.gen(function* () {
        const { unhandled } = yield* rejections
        const error = yield* failure
        assert.deepInclude(error, { reason: "Setup", step: "onConnect", attempts: 1, isRetryable: false })
        assert.match(error.message, /onConnect/)
        assert.match(error.message, says)
        assert.notInclude(error.message, "\n")
        assert.strictEqual((yield* peers).length, 1)
        assert.strictEqual((yield* WebSocketPool.stats).connectFailures, 1)
        yield* turn
        yield* turn
        assert.deepStrictEqual(unhandled, [])
      }).pipe(Effect.scoped, Effect.provide(poolWith({ onConnect: hook(result) })))
    )

    for (const [name, options, wait] of [
      ["onRelease", { onRelease: hook(result) }, 0],
      ["healthCheck", { healthCheck: hook(result) }, "30 seconds"]
    ] as const) {
      it.effect(`${name}, ${what}: an unhealthy connection, and a warning that says so`, () => {
        const log = warnings()
        return Effect.gen(function* () {
          const { unhandled } = yield* rejections
          const events = yield* collect(yield* WebSocketPool.WebSocketPool)
          yield* WebSocketPool.use(() => Effect.void)
          yield* TestClock.adjust(wait)
          yield* settle
          assert.deepStrictEqual(reasons(events), ["Unhealthy"])
          assert.strictEqual(log.messages.length, 1)
          assert.match(log.messages[0]!, new RegExp(name))
          assert.match(log.messages[0]!, says)
          yield* turn
          yield* turn
          assert.deepStrictEqual(unhandled, [])
        }).pipe(Effect.scoped, Effect.provide(poolWith(options)), Effect.provide(log.layer))
      })
    }
  }

  it.effect("healthCheck before a lease: the get opens another connection", () => {
    const log = warnings()
    return Effect.gen(function* () {
      const first = yield* WebSocketPool.use(({ id }) => Effect.succeed(id))
      yield* TestClock.adjust("6 seconds")
      const second = yield* WebSocketPool.use(({ id }) => Effect.succeed(id))
      assert.notStrictEqual(second, first)
      assert.strictEqual((yield* WebSocketPool.stats).healthCheckFailures, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ healthCheck: hook(() => Promise.resolve()) })),
      Effect.provide(log.layer)
    )
  })

  it.effect("onConnect in the background does not end ready with a defect", () =>
    Effect.gen(function* () {
      const { ready } = yield* WebSocketPool.WebSocketPool
      const error = unavailable(yield* Effect.flip(ready))
      assert.deepInclude(error, { reason: "Setup", step: "onConnect", attempts: 1 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ minConnections: 1, onConnect: hook(() => Promise.resolve()) })))
  )
})

describe("a connection that a hook has closed", () => {
  const closesFirst: Hook = ({ close, id }) => (id.endsWith("-1") ? close() : Effect.void)
  const closesAndFails: Hook = (connection) =>
    connection.id.endsWith("-1") ? Effect.andThen(connection.close(), Effect.fail("and fails")) : Effect.void

  for (const [name, options, wait] of [
    ["onRelease", { onRelease: closesFirst }, 0],
    ["onRelease that fails", { onRelease: closesAndFails }, 0],
    ["healthCheck", { healthCheck: closesFirst }, "30 seconds"],
    ["healthCheck that fails", { healthCheck: closesAndFails }, "30 seconds"]
  ] as const) {
    it.effect(`${name}: is replaced at once, though its server has yet to answer`, () =>
      Effect.gen(function* () {
        yield* settle
        // One that ends sooner is replaced after a pause.
        yield* TestClock.adjust("1 second")
        yield* WebSocketPool.use(() => Effect.void)
        yield* TestClock.adjust(wait)
        yield* settle
        const { closing, healthCheckFailures, idle, opened } = yield* WebSocketPool.stats
        assert.deepStrictEqual({ closing, idle, opened }, { closing: 1, idle: 1, opened: 2 })
        assert.strictEqual(healthCheckFailures, 0)
      }).pipe(Effect.provide(poolWith({ minConnections: 1, ...options }, ({ silence }) => silence)))
    )
  }

  it.effect("healthCheck before a lease: the get opens another one, and the pool none besides", () =>
    Effect.gen(function* () {
      yield* settle
      yield* TestClock.adjust("6 seconds")
      const id = yield* WebSocketPool.use(({ id }) => Effect.succeed(id))
      yield* settle
      const { closing, idle, opened } = yield* WebSocketPool.stats
      assert.isFalse(id.endsWith("-1"))
      assert.deepStrictEqual({ closing, idle, opened }, { closing: 1, idle: 1, opened: 2 })
    }).pipe(
      Effect.provide(
        poolWith({ minConnections: 1, maxConnections: 3, healthCheck: closesFirst }, ({ silence }) => silence)
      )
    )
  )
})

describe("a connection that its server ends while a healthCheck before a lease is under way", () => {
  it.effect("is replaced by one, for that lease", () =>
    Effect.gen(function* () {
      yield* settle
      const [peer] = yield* peers
      yield* TestClock.adjust("6 seconds")
      const using = yield* Effect.forkChild(WebSocketPool.use(({ id }) => Effect.succeed(id)))
      yield* settle
      yield* peer!.close(1001)
      yield* settle
      yield* TestClock.adjust("500 millis")
      yield* settle
      assert.match(yield* Fiber.join(using), /-2$/)
      const { idle, opened } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ idle, opened }, { idle: 1, opened: 2 })
    }).pipe(
      Effect.provide(poolWith({ minConnections: 1, maxConnections: 3, healthCheck: () => Effect.sleep("500 millis") }))
    )
  )
})

describe("step of a failed setup", () => {
  const boom = Effect.fail("boom")
  const cases: ReadonlyArray<
    readonly [
      what: string,
      options: Partial<WebSocketPool.Options>,
      step: PoolError.SetupStep,
      retried: boolean,
      says: RegExp
    ]
  > = [
    ["a url effect that fails", { url: boom }, "url", true, /url/],
    ["a url effect that dies", { url: Effect.die("boom") }, "url", true, /url/],
    ["a url effect that gives no URL", { url: Effect.succeed("nonsense") }, "url", false, /url/],
    ["a url effect that gives one for HTTP", { url: Effect.succeed("http://server.test") }, "url", false, /url/],
    ["a headers effect that fails", { headers: boom }, "headers", true, /headers/],
    ["a headers effect that dies", { headers: Effect.die("boom") }, "headers", true, /headers/],
    [
      "a headers effect that gives a bad name",
      { headers: Effect.succeed({ "no good": "x" }) },
      "headers",
      false,
      /headers|no good/
    ],
    ["onConnect that fails", { onConnect: () => boom }, "onConnect", true, /onConnect/],
    [
      "onConnect that throws",
      {
        onConnect: () => {
          throw new Error("boom")
        }
      },
      "onConnect",
      true,
      /onConnect/
    ]
  ]
  for (const [what, options, step, isRetryable, says] of cases) {
    it.effect(`names what has failed: ${what}`, () =>
      Effect.gen(function* () {
        const get = yield* Effect.forkChild(failure)
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(get)
        assert.deepInclude(error, { reason: "Setup", step, isRetryable, attempts: isRetryable ? 4 : 1 })
        assert.match(error.message, says)
      }).pipe(Effect.scoped, Effect.provide(poolWith(options)))
    )
  }

  it.effect("is not there when the setup is not what has failed", () =>
    Effect.gen(function* () {
      const error = yield* failure
      assert.deepInclude(error, { reason: "Handshake", status: 401 })
      assert.isUndefined(error.step)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ headers: Effect.succeed({}), url: Effect.succeed("ws://server.test") }, undefined, () =>
          Effect.fail(401)
        )
      )
    )
  )

  it.effect("is that of the attempt that has failed last", () => {
    let attempts = 0
    const headers = Effect.suspend(() => (++attempts === 1 ? Effect.fail("no token yet") : Effect.succeed({})))
    return Effect.gen(function* () {
      const get = yield* Effect.forkChild(failure)
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(get)
      assert.deepInclude(error, { reason: "Setup", step: "onConnect", attempts: 4 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ headers, onConnect: () => boom })))
  })
})
