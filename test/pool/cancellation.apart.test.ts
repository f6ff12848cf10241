import { WebSocketPool } from "effect-websocket-pool"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { interruptNow, steppingScheduler, tracking, withScheduler } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { isRunning, makeServer, quiet, type Server, settle } from "../support/wire.js"

type Pool = WebSocketPool.WebSocketPool
type Options = Partial<WebSocketPool.Options>

/** A pool whose fibers are tracked, with a scheduler of its own if it is given one. */
const tracked = (server: Server, options: Options, stepper?: Stepper) =>
  Effect.gen(function* () {
    const { count, track } = yield* tracking
    const scope = yield* Scope.make()
    const make = WebSocketPool.make({ ...quiet, ...options })
    const pool = yield* (stepper === undefined ? make : withScheduler(make, stepper.scheduler)).pipe(
      Scope.provide(scope),
      track,
      Effect.provide(yield* Layer.buildWithScope(server.layer, scope))
    )
    return { pool, fibers: count, close: Scope.close(scope, Exit.void) }
  })

/** Asserts that a pool that was closed in its turn is closed, and that nothing of it is left. */
const nothingLeft = (server: Server, pool: Pool, fibers: Effect.Effect<number>) =>
  Effect.gen(function* () {
    const closing = yield* Effect.forkChild(pool.close)
    yield* settle
    assert.isFalse(isRunning(closing), "closing takes no time")
    yield* settle
    const { closed, opened, state, total, waiting } = yield* pool.stats
    assert.deepStrictEqual(
      { open: opened - closed, state, total, waiting },
      { open: 0, state: "closed", total: 0, waiting: 0 }
    )
    assert.strictEqual(server.counts.sockets, 0)
    assert.strictEqual(yield* fibers, 0)
  })

const regions = { interruptible: Effect.interruptible, uninterruptible: Effect.uninterruptible }

describe("closing the pool from within a hook", () => {
  for (const [region, within] of Object.entries(regions)) {
    for (const how of ["waits for it", "forks it", "runs it in a fiber of its own"] as const) {
      /** What a hook does that closes its pool. */
      const closes = (pool: () => Pool) =>
        within(
          Effect.suspend(() => {
            const { close } = pool()
            if (how === "waits for it") return close
            if (how === "forks it") return Effect.asVoid(Effect.forkDetach(close))
            // At the start of the hook's own fiber, in the very step that has started it.
            return Effect.sync(() => {
              Effect.runFork(close)
            })
          })
        )

      const hooks: ReadonlyArray<
        readonly [
          string,
          (close: Effect.Effect<void>, last: () => boolean) => Options,
          (pool: Pool) => Effect.Effect<unknown>
        ]
      > = [
        [
          "url",
          (close, last) => ({
            url: Effect.suspend(() => (last() ? Effect.as(close, quiet.url) : Effect.fail("not yet")))
          }),
          (pool) => Effect.exit(pool.use(() => Effect.void))
        ],
        [
          "headers",
          (close, last) => ({
            headers: Effect.suspend(() => (last() ? Effect.as(close, {}) : Effect.fail("not yet")))
          }),
          (pool) => Effect.exit(pool.use(() => Effect.void))
        ],
        [
          "onConnect",
          (close, last) => ({ onConnect: () => Effect.suspend(() => (last() ? close : Effect.fail("not yet"))) }),
          (pool) => Effect.exit(pool.use(() => Effect.void))
        ]
      ]
      for (const attempt of [1, 2]) {
        for (const [name, options, use] of hooks) {
          // A socket was left for ever, or closing took as long as it may.
          it.effect(`${name}, attempt ${attempt}, ${region}, that ${how}`, () => {
            const server = makeServer()
            return Effect.gen(function* () {
              let attempts = 0
              let closed: Pool | undefined
              const { fibers, pool } = yield* tracked(server, {
                ...options(
                  Effect.suspend(() => closes(() => closed!)),
                  () => ++attempts === attempt
                ),
                retry: Schedule.recurs(5)
              })
              closed = pool
              const using = yield* Effect.forkChild(use(pool))
              yield* settle
              yield* settle
              assert.isFalse(isRunning(using), "the get has its answer")
              assert.strictEqual(attempts, attempt)
              yield* nothingLeft(server, pool, fibers)
            })
          })
        }
      }

      for (const [name, options, begin] of [
        [
          "onRelease",
          (close: Effect.Effect<void>): Options => ({ onRelease: () => close }),
          (pool: Pool): Effect.Effect<unknown> => Effect.exit(pool.use(() => Effect.void))
        ],
        [
          "healthCheck before a lease",
          (close: Effect.Effect<void>): Options => ({ healthCheck: () => close, validateAfterIdle: "1 second" }),
          (pool: Pool): Effect.Effect<unknown> =>
            Effect.andThen(
              Effect.andThen(Effect.exit(pool.use(() => Effect.void)), TestClock.adjust("2 seconds")),
              Effect.exit(pool.use(() => Effect.void))
            )
        ],
        [
          "healthCheck of an idle connection",
          (close: Effect.Effect<void>): Options => ({ healthCheck: () => close, pingInterval: "1 second" }),
          (pool: Pool): Effect.Effect<unknown> =>
            Effect.andThen(Effect.exit(pool.use(() => Effect.void)), TestClock.adjust("1 second"))
        ]
      ] as const) {
        it.effect(`${name}, ${region}, that ${how}`, () => {
          const server = makeServer()
          return Effect.gen(function* () {
            let closed: Pool | undefined
            const { fibers, pool } = yield* tracked(server, options(Effect.suspend(() => closes(() => closed!))))
            closed = pool
            const using = yield* Effect.forkChild(begin(pool))
            yield* settle
            yield* settle
            assert.isFalse(isRunning(using), "the user has its answer")
            yield* nothingLeft(server, pool, fibers)
          })
        })
      }
    }
  }
})

/** A scheduler that gives way after every step, and does something before one of them. */
class Stepper {
  steps = 0
  private at = Number.POSITIVE_INFINITY
  private action: () => void = () => {}

  readonly scheduler = steppingScheduler((fiber) => {
    this.steps += 1
    if (this.steps === this.at) this.action()
    // A yield is made of some steps itself.
    return fiber.currentOpCount > 12
  })

  /** From now on, at which step to do what. */
  arm(at: number, action: () => void): void {
    this.steps = 0
    this.at = at
    this.action = action
  }
}

describe("at every step of a scheduler", () => {
  /** Does something that takes time, with something else at each of its steps in turn, until it has no more of them. */
  const sweep = (
    server: () => Server,
    options: Options,
    body: (
      pool: Pool,
      server: Server,
      arm: (fiber: () => Fiber.Fiber<unknown, unknown> | undefined) => void,
      stepper: Stepper
    ) => Effect.Effect<void, unknown, Scope.Scope>,
    at: (pool: Pool, fiber: Fiber.Fiber<unknown, unknown> | undefined) => void,
    steps: number
  ) =>
    Effect.gen(function* () {
      for (let step = 1; step <= steps; step++) {
        const stepper = new Stepper()
        const line = server()
        const { fibers, pool } = yield* tracked(line, options, stepper)
        yield* Effect.scoped(body(pool, line, (fiber) => stepper.arm(step, () => at(pool, fiber())), stepper))
        yield* settle
        yield* nothingLeft(line, pool, fibers)
      }
    })

  const interrupt = (_: Pool, fiber: Fiber.Fiber<unknown, unknown> | undefined): void => interruptNow(fiber)

  const close = (pool: Pool): void => {
    Effect.runFork(pool.close)
  }

  for (const [what, action] of [
    ["interrupting", interrupt],
    ["closing the pool under", close]
  ] as const) {
    it.live(`${what} a get leaves nothing`, () =>
      sweep(
        () => makeServer(),
        { headers: Effect.andThen(Effect.yieldNow, Effect.succeed({})), onConnect: () => Effect.yieldNow },
        (pool, _, arm, stepper) =>
          Effect.gen(function* () {
            let fiber: Fiber.Fiber<unknown, unknown> | undefined
            arm(() => fiber)
            fiber = yield* Effect.forkChild(withScheduler(Effect.scoped(pool.get), stepper.scheduler))
            yield* Fiber.await(fiber)
          }),
        action,
        80
      )
    )

    it.live(`${what} a get that tries again leaves nothing`, () =>
      sweep(
        () => {
          let attempts = 0
          return makeServer({
            accept: () => Effect.suspend(() => (++attempts % 2 === 1 ? Effect.fail(503) : Effect.void))
          })
        },
        { retry: Schedule.recurs(3), headers: Effect.andThen(Effect.yieldNow, Effect.succeed({})) },
        (pool, _, arm, stepper) =>
          Effect.gen(function* () {
            let fiber: Fiber.Fiber<unknown, unknown> | undefined
            arm(() => fiber)
            fiber = yield* Effect.forkChild(withScheduler(Effect.scoped(pool.get), stepper.scheduler))
            yield* Fiber.await(fiber)
          }),
        action,
        100
      )
    )

    for (const [where, options, occupy] of [
      ["that waits for its reply", {}, Effect.void],
      ["in line", { maxConnections: 1, shutdownTimeout: "100 millis" }, Effect.yieldNow]
    ] as const) {
      it.live(`${what} an ask ${where} leaves nothing`, () =>
        sweep(
          () => makeServer({ onMessage: (peer, message) => Effect.andThen(Effect.yieldNow, peer.send(message)) }),
          options,
          (pool, _, arm, stepper) =>
            Effect.gen(function* () {
              let fiber: Fiber.Fiber<unknown, unknown> | undefined
              arm(() => fiber)
              const holder = yield* Effect.forkChild(pool.use(() => occupy))
              fiber = yield* Effect.forkChild(withScheduler(pool.ask("hello"), stepper.scheduler))
              yield* Fiber.await(fiber)
              yield* Fiber.await(holder)
              // The pool learns of an interruption by the reply, or when the turn comes.
              yield* settle
            }),
          action,
          60
        )
      )
    }

    it.live(`${what} ready leaves nothing`, () =>
      sweep(
        () => makeServer(),
        { minConnections: 1, onConnect: () => Effect.yieldNow },
        (pool, _, arm, stepper) =>
          Effect.gen(function* () {
            let fiber: Fiber.Fiber<unknown, unknown> | undefined
            arm(() => fiber)
            fiber = yield* Effect.forkChild(withScheduler(pool.ready, stepper.scheduler))
            yield* Fiber.await(fiber)
          }),
        action,
        60
      )
    )

    it.live(`${what} a ping leaves nothing`, () =>
      sweep(
        () => makeServer(),
        { shutdownTimeout: 0 },
        (pool, _, arm, stepper) =>
          Effect.gen(function* () {
            const connection = yield* pool.get
            let fiber: Fiber.Fiber<unknown, unknown> | undefined
            arm(() => fiber)
            fiber = yield* Effect.forkChild(withScheduler(connection.ping, stepper.scheduler))
            yield* Fiber.await(fiber)
          }),
        action,
        40
      )
    )
  }

  // A canceller that was not installed yet was lost: the message went out that its sender had taken back.
  it.live("a send that waits for room and is interrupted does not go out", () =>
    Effect.gen(function* () {
      for (let step = 1; step <= 30; step++) {
        const stepper = new Stepper()
        // It takes the messages once it is told to.
        const gate = Deferred.makeUnsafe<void>()
        const heard: Array<unknown> = []
        const server = makeServer({
          reads: false,
          onPeer: (peer) =>
            Effect.andThen(
              Deferred.await(gate),
              Effect.forever(Effect.map(peer.receive, (message) => heard.push(message)))
            )
        })
        const { fibers, pool } = yield* tracked(server, { sendBuffer: 0, closeTimeout: 0 }, stepper)
        const exit = yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* pool.get
            yield* connection.send("first")
            let fiber: Fiber.Fiber<void, unknown> | undefined
            stepper.arm(step, () => interrupt(pool, fiber))
            fiber = yield* Effect.forkChild(withScheduler(connection.send("second"), stepper.scheduler))
            yield* settle
            stepper.arm(0, () => {})
            yield* Effect.forkDetach(Fiber.interrupt(fiber))
            yield* settle
            yield* Deferred.succeed(gate, undefined)
            yield* settle
            return yield* Fiber.await(fiber)
          })
        )
        assert.isTrue(Exit.hasInterrupts(exit))
        assert.deepStrictEqual(heard, ["first"], `interrupted at step ${step}`)
        yield* nothingLeft(server, pool, fibers)
      }
    })
  )
})
