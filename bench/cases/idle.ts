import { Effect, Exit, Scope } from "effect"
import {
  type Case,
  type Contender,
  child,
  collectAll,
  measure,
  median,
  number,
  of,
  order,
  type Report,
  ratio,
  type Table,
  type Target
} from "../harness.js"
import { type HolderName, holders } from "../holders.js"

/** Opens so many connections, keeps them, and lets them go. */
const held = (name: HolderName, url: string, count: number) => {
  const { hold, label } = holders[name]
  let scope: Scope.CloseableScope | undefined
  const open = () =>
    Effect.runPromise(
      Effect.flatMap(Scope.make(), (made) => {
        scope = made
        return Scope.extend(hold(url, count), made)
      })
    )
  const close = () => Effect.runPromise(scope === undefined ? Effect.void : Scope.close(scope, Exit.void))
  return { name, label, open, close }
}

const names = ["bare", "pool", "undici", "effect-pool"] as const satisfies ReadonlyArray<HolderName>

const many = 1000

const byAndBy = [
  "bare",
  "transport",
  "transport-forked",
  "pool-leased",
  "pool-given-back",
  "undici",
  "effect-pool-leased"
] as const satisfies ReadonlyArray<HolderName>
const atOnce = ["bare-at-once", "transport-at-once", "pool-at-once"] as const satisfies ReadonlyArray<HolderName>

export const opening: Case = {
  name: "open",
  about: `opening ${number(many)} connections, all at once and 100 at a time`,
  run: (settings) =>
    Effect.gen(function* () {
      const contenders = [...atOnce, ...byAndBy].map((name): Contender => {
        const { close, label, open } = held(name, `${settings.url}/echo`, many)
        return { name, label, isOurs: name.startsWith("pool"), run: open, after: close, turns: many }
      })
      const measured = yield* measure(contenders, settings, 0)
      const millis = (nanos: ReadonlyArray<number>) => `${number((median(nanos) * many) / 1e6)} ms`
      const compared = (how: string, names: ReadonlyArray<HolderName>, ours: HolderName) => {
        const [bare] = names.map((name) => of(measured, name))
        const pool = of(measured, ours)
        const table: Table = {
          title: `Opening ${number(many)} connections, ${how}`,
          columns: ["", "took", "bare `ws` = 1", "client CPU per connection, µs", "bare `ws` = 1"],
          rows: names.map((name) => {
            const { cpu, label, nanos } = of(measured, name)
            return [
              label,
              millis(nanos),
              ratio(nanos, bare!.nanos).toFixed(2),
              number(median(cpu)),
              ratio(cpu, bare!.cpu).toFixed(2)
            ]
          })
        }
        const target: Target = {
          what: `opening ${number(many)} connections, ${how}`,
          measured: millis(pool.nanos),
          against: `${bare!.label}: ${millis(bare!.nanos)}`,
          ratio: ratio(pool.nanos, bare!.nanos),
          better: "less",
          least: 1.1,
          aim: 1
        }
        return { table, target }
      }
      const all = [compared("all at once", atOnce, "pool-at-once"), compared("100 at a time", byAndBy, "pool-leased")]
      return {
        name: "open",
        tables: all.map(({ table }) => table),
        targets: all.map(({ target }) => target),
        drawings: [],
        samples: measured
      } satisfies Report
    })
}

const crowd = 2000

export const heap: Case = {
  name: "heap",
  about: `the heap that an idle connection takes, with ${number(crowd)} of them`,
  run: ({ progress, rounds: most, url }) =>
    Effect.gen(function* () {
      // It takes long, and hardly varies.
      const rounds = Math.min(most, 7)
      const all = names.map((name) => ({
        ...held(name, `${url}/echo`, crowd),
        heap: [] as Array<number>,
        buffers: [] as Array<number>
      }))
      for (let round = -1; round < rounds; round++) {
        for (const { buffers, close, heap, name, open } of order(all, round + 1)) {
          progress(`round ${round + 1} of ${rounds}: ${name}`)
          yield* Effect.promise(async () => {
            await collectAll()
            const before = process.memoryUsage()
            await open()
            await collectAll()
            const after = process.memoryUsage()
            await close()
            if (round < 0) return
            heap.push((after.heapUsed - before.heapUsed) / crowd)
            buffers.push((after.external - before.external) / crowd)
          })
        }
      }
      const bare = all.find(({ name }) => name === "bare")!
      const pool = all.find(({ name }) => name === "pool")!
      const bytes = (values: ReadonlyArray<number>) => `${number(median(values))} B`
      const report: Report = {
        name: "heap",
        tables: [
          {
            title: `Memory of an idle connection, ${number(crowd)} of them, after a garbage collection`,
            columns: ["", "heap", "bare `ws` = 1", "outside of the heap"],
            rows: all.map(({ buffers, heap, label }) => [
              label,
              bytes(heap),
              ratio(heap, bare.heap).toFixed(2),
              bytes(buffers)
            ])
          }
        ],
        targets: [
          {
            what: `heap of an idle connection, ${number(crowd)} of them`,
            measured: bytes(pool.heap),
            against: `bare \`ws\`: ${bytes(bare.heap)}`,
            ratio: ratio(pool.heap, bare.heap),
            better: "less",
            least: 1.3,
            aim: 1.15
          }
        ],
        drawings: [],
        samples: all.map(({ buffers, heap, name }) => ({ name, heap, buffers }))
      }
      return report
    })
}

const watched = [
  "nothing",
  "bare",
  "bare-pings",
  "kept-pool",
  "spread-pool"
] as const satisfies ReadonlyArray<HolderName>

/** V8 collects what opening has left behind only when the process has idled for a while. Seconds. */
const settling = 40

export const idleCpu: Case = {
  name: "idle-cpu",
  about: `the CPU that ${number(crowd)} idle connections take, default options; each contender in a process of its own`,
  run: ({ progress, seconds, url }) =>
    Effect.gen(function* () {
      progress("opening")
      const children = yield* Effect.forEach(
        watched,
        (name) => Effect.map(child("./idle.js", [name, `${url}/echo`, String(crowd)]), ([child]) => ({ name, child })),
        { concurrency: "unbounded" }
      )
      progress(`letting them settle for ${settling} s`)
      yield* Effect.sleep(`${settling} seconds`)
      progress(`watching for ${seconds} s`)
      for (const { child } of children) child.send(seconds)
      const shares = yield* Effect.forEach(
        children,
        ({ child, name }) =>
          Effect.async<{ readonly name: HolderName; readonly label: string; readonly percent: number }>((resume) => {
            child.once("message", (micros) => {
              const percent = (Number(micros) / (seconds * 1e6)) * 100
              resume(Effect.succeed({ name, label: holders[name].label, percent }))
            })
          }),
        { concurrency: "unbounded" }
      )
      const percent = (name: HolderName) => shares.find((share) => share.name === name)!.percent
      const report: Report = {
        name: "idle-cpu",
        tables: [
          {
            title: `CPU of ${number(crowd)} idle connections over ${seconds} s, default options`,
            columns: ["", "of one core", "µs per connection and minute"],
            rows: shares.map(({ label, name, percent }) => [
              label,
              `${percent.toFixed(2)} %`,
              name === "nothing" ? "" : number((percent / 100) * 60 * (1e6 / crowd))
            ])
          }
        ],
        targets: [
          {
            what: `CPU of ${number(crowd)} idle connections, default options, ${seconds} s`,
            measured: `${percent("kept-pool").toFixed(2)} %`,
            against: `bare \`ws\` with a ping every 30 s: ${percent("bare-pings").toFixed(2)} %`,
            ratio: percent("kept-pool"),
            better: "less",
            least: 0.5,
            aim: 0.1,
            unit: " %"
          }
        ],
        drawings: [],
        samples: shares
      }
      return report
    })
}
