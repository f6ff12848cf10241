import genericPool from "generic-pool"
import * as tarn from "tarn"
import { poolBounds, poolGetBounds, yielding } from "#bench/dialect"
import { millisOf, monotonicOf } from "#dialect"
import * as Clock from "#effect/Clock"
import * as Effect from "#effect/Effect"
import * as Pool from "#effect/Pool"
import { ResourcePool } from "../../src/index.js"
import { type Case, type Contender, measure, median, number, of, type Report, ratio, turns } from "../harness.js"
import { makePool } from "../peers.js"

const size = 16

/** What something may cost, and next to which row. */
interface Bounds {
  readonly against: string
  readonly least: number
  readonly aim: number
}

const nothing = Effect.void
const doNothing = () => nothing

/** So many turns of the same effect; each lets other fibers have a turn, too. */
const repeated = (turn: Effect.Effect<unknown, unknown>) => (count: number) => Effect.runPromise(yielding(turn, count))

/** So many turns, one right after the other. */
const tight = (turn: Effect.Effect<unknown, unknown>) => (count: number) => Effect.runPromise(turns(count, turn))

const effects = (url: string) =>
  Effect.gen(function* () {
    const clock = yield* Clock.clockWith(Effect.succeed)
    const readsBoth = Effect.sync(() => [millisOf(clock), monotonicOf(clock)])
    const readsOne = Effect.sync(() => monotonicOf(clock))
    const ours = yield* makePool({ url, minConnections: size, maxConnections: size })
    const core = yield* ResourcePool.make({ acquire: Effect.succeed({}), size })
    const theirs = yield* Pool.make({ acquire: Effect.succeed({}), size })
    return [
      { name: "empty", label: "the loop alone, which every row includes", effect: nothing },
      {
        name: "acquireUseRelease",
        label: "`Effect.acquireUseRelease` that does nothing",
        effect: Effect.acquireUseRelease(nothing, doNothing, doNothing)
      },
      {
        name: "clocked",
        label: "one that reads the clocks of a lease",
        effect: Effect.acquireUseRelease(readsBoth, doNothing, () => readsOne)
      },
      {
        name: "scoped",
        label: "`Effect.scoped` of an empty `acquireRelease`",
        effect: Effect.scoped(Effect.acquireRelease(nothing, doNothing))
      },
      { name: "use", label: "`WebSocketPool.use`", effect: ours.use(doNothing), isOurs: true },
      { name: "get", label: "`WebSocketPool.get`, scoped", effect: Effect.scoped(ours.get), isOurs: true },
      { name: "core-use", label: "`ResourcePool.use`", effect: ResourcePool.use(core, doNothing), isOurs: true },
      {
        name: "core-get",
        label: "`ResourcePool.get`, scoped",
        effect: Effect.scoped(ResourcePool.get(core)),
        isOurs: true
      },
      { name: "effect-pool", label: "Effect's `Pool.get`, scoped", effect: Effect.scoped(Pool.get(theirs)) }
    ]
  })

/** So many turns of a pool that gives promises. */
const awaited =
  <A>(acquire: () => PromiseLike<A>, release: (item: A) => unknown) =>
  async (count: number): Promise<void> => {
    for (let left = count; left > 0; left--) {
      const item = await acquire()
      release(item)
    }
  }

const promisePools = Effect.gen(function* () {
  const factory = { create: async () => ({}), destroy: async () => {} }
  const generic = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const pool = genericPool.createPool<object>(factory, { min: size, max: size })
      await pool.ready()
      return pool
    }),
    (pool) => Effect.promise(() => pool.drain().then(() => pool.clear()))
  )
  const tarnPool = yield* Effect.acquireRelease(
    Effect.sync(() => new tarn.Pool<object>({ ...factory, min: size, max: size })),
    (pool) => Effect.promise(() => pool.destroy())
  )
  const contenders: ReadonlyArray<Contender> = [
    {
      name: "generic-pool",
      label: "generic-pool (promises)",
      run: awaited(
        () => generic.acquire(),
        (item) => generic.release(item)
      )
    },
    {
      name: "tarn",
      label: "tarn (promises)",
      run: awaited(
        () => tarnPool.acquire().promise,
        (item) => tarnPool.release(item)
      )
    }
  ]
  return contenders
})

export const lease: Case = {
  name: "lease",
  about: "taking from a warm pool and giving back",
  run: (settings) =>
    Effect.gen(function* () {
      const all = yield* effects(`${settings.url}/echo`)
      const peers = yield* promisePools
      const contenders = all.flatMap(
        ({ effect, ...contender }): ReadonlyArray<Contender> => [
          { ...contender, run: repeated(effect) },
          { ...contender, name: `${contender.name}, tight`, run: tight(effect) }
        ]
      )
      const measured = yield* measure([...contenders, ...peers], settings, 100)
      // There is nothing to wait for, so the process's own time is what it costs; others disturb it less.
      const cpu = (name: string) => of(measured, name).cpu
      const empty = cpu("acquireUseRelease")
      const effectPool = cpu("effect-pool")
      const cell = (name: string) => number(median(cpu(name)) * 1000)
      const ns = (name: string) => `${cell(name)} ns`
      const row = ({ label, name }: { readonly label: string; readonly name: string }) => [
        label,
        cell(name),
        ratio(cpu(name), empty).toFixed(2),
        ratio(cpu(name), effectPool).toFixed(2),
        number(median(of(measured, name).nanos))
      ]
      const nextTo = (name: string, { against, aim, least }: Bounds) => ({
        against: `${all.find((one) => one.name === against)!.label}: ${ns(against)}`,
        ratio: ratio(cpu(name), cpu(against)),
        better: "less" as const,
        least,
        aim
      })
      const report: Report = {
        name: "lease",
        tables: [
          {
            title: "Lease and give back, warm pool",
            columns: [
              "",
              "CPU, ns",
              "empty `acquireUseRelease` = 1",
              "Effect's `Pool` = 1",
              "elapsed, ns",
              "CPU in a loop that never yields, ns"
            ],
            rows: [
              ...all.map((one) => [...row(one), cell(`${one.name}, tight`)]),
              ...peers.map((one) => [...row(one), ""])
            ]
          }
        ],
        targets: [
          {
            what: "lease and give back, `use`",
            measured: ns("use"),
            ...nextTo("use", poolBounds)
          },
          {
            what: "lease and give back, scoped `get`",
            measured: ns("get"),
            ...nextTo("get", poolGetBounds)
          }
        ],
        drawings: [
          {
            name: "lease",
            bars: {
              title: "Lease and give back, warm pool",
              subtitle: "CPU for one turn, in a loop that lets other fibers have a turn, too: less is better",
              panels: [
                {
                  title: "ns",
                  bars: [...all, ...peers].map(({ isOurs = false, label, name }) => ({
                    name: label,
                    value: median(cpu(name)) * 1000,
                    isOurs
                  }))
                }
              ]
            }
          }
        ],
        samples: measured
      }
      return report
    })
}
