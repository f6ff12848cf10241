import { Duration, Effect, Fiber, Pool, type Scope } from "effect"
import { ResourcePool } from "../../src/index.js"
import { type Case, number, type Report } from "../harness.js"

/** The part of both pools that is compared. */
interface AnyPool {
  readonly makeWithTTL: <A>(options: {
    readonly acquire: Effect.Effect<A, string, Scope.Scope>
    readonly min: number
    readonly max: number
    readonly timeToLive: Duration.DurationInput
    readonly timeToLiveStrategy?: "usage"
  }) => Effect.Effect<Effect.Effect<A, unknown, Scope.Scope>, never, Scope.Scope>
}

const ours: AnyPool = { makeWithTTL: (options) => Effect.map(ResourcePool.makeWithTTL(options), ResourcePool.get) }
const theirs: AnyPool = { makeWithTTL: (options) => Effect.map(Pool.makeWithTTL(options), Pool.get) }

const millisOf = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.timed(Effect.exit(effect)), ([took]) => `${number(Duration.toMillis(took))} ms`)

/** Creations that take so many milliseconds, one after the other; the last for all that follow. */
const slowly = (...millis: ReadonlyArray<number>) => {
  let made = 0
  return Effect.suspend(() => {
    const item = made
    made += 1
    return Effect.as(Effect.sleep(millis[Math.min(item, millis.length - 1)]!), item)
  })
}

const scenarios: ReadonlyArray<readonly [name: string, run: (pool: AnyPool) => Effect.Effect<string, unknown>]> = [
  [
    "a `get` with a timeout of 100 ms, while the connect takes 2 s, ends after",
    (pool) =>
      Effect.gen(function* () {
        const get = yield* pool.makeWithTTL({ acquire: slowly(2000), min: 0, max: 4, timeToLive: "1 minute" })
        return yield* millisOf(Effect.timeout(Effect.scoped(get), "100 millis"))
      }).pipe(Effect.scoped)
  ],
  [
    "a `get` whose connect takes no time, behind one that takes 2 s, ends after",
    (pool) =>
      Effect.gen(function* () {
        const get = yield* pool.makeWithTTL({ acquire: slowly(2000, 0), min: 0, max: 4, timeToLive: "1 minute" })
        const first = yield* Effect.fork(Effect.scoped(get))
        yield* Effect.sleep("10 millis")
        const took = yield* millisOf(Effect.scoped(get))
        yield* Fiber.interruptFork(first)
        return took
      }).pipe(Effect.scoped)
  ],
  [
    "an item is given back after 100 ms, while a connect takes 2 s: the waiter has it after",
    (pool) =>
      Effect.gen(function* () {
        const get = yield* pool.makeWithTTL({ acquire: slowly(0, 2000), min: 0, max: 2, timeToLive: "1 minute" })
        const holder = yield* Effect.fork(Effect.scoped(Effect.zipRight(get, Effect.sleep("110 millis"))))
        yield* Effect.sleep("10 millis")
        const took = yield* millisOf(Effect.scoped(get))
        yield* Fiber.interruptFork(holder)
        return took
      }).pipe(Effect.scoped)
  ],
  [
    "items made in 1.5 s for one user who comes every 10 ms (time to live 200 ms without use)",
    (pool) =>
      Effect.gen(function* () {
        let made = 0
        const get = yield* pool.makeWithTTL({
          acquire: Effect.sync(() => {
            made += 1
            return made
          }),
          min: 0,
          max: 4,
          timeToLive: "200 millis",
          timeToLiveStrategy: "usage"
        })
        yield* Effect.zipRight(Effect.scoped(get), Effect.sleep("10 millis")).pipe(
          Effect.forever,
          Effect.timeoutOption("1500 millis")
        )
        return number(made)
      }).pipe(Effect.scoped)
  ]
]

export const behaviour: Case = {
  name: "behaviour",
  about: "how long a `get` waits for what others do: `ResourcePool` next to Effect's `Pool`",
  run: ({ progress }) =>
    Effect.gen(function* () {
      const rows = yield* Effect.forEach(scenarios, ([name, run]) => {
        progress(name)
        return Effect.map(Effect.all([run(ours), run(theirs)], { concurrency: 2 }), (both) => [name, ...both])
      })
      const report: Report = {
        name: "behaviour",
        tables: [
          { title: "How long a `get` waits for others", columns: ["", "`ResourcePool`", "Effect's `Pool`"], rows }
        ],
        targets: [],
        drawings: []
      }
      return report
    })
}
