import { Effect } from "effect"
import type { WebSocketPool } from "../../src/index.js"
import type { Panel } from "../chart.js"
import { type Case, fibers, median, number, order, type Report } from "../harness.js"
import { exchange, makePool } from "../peers.js"

const message = "x".repeat(64)

/** Requests come at this rate, each by itself. */
const rate = 1000
/** How long the server takes, in milliseconds. */
const latencies = [5, 20, 50]
/** How long requests come, in seconds, and how often each size is tried. */
const duration = 1.5
const passes = 3
/** Sizes that are tried, as deviations: `load + deviation × √load`, where `load` is rate × time held. */
const deviations = [-1, -0.5, 0, 0.5, 1, 1.5, 2, 3]

/** Moments at which requests come, in milliseconds, the same each time: independent of each other, at that rate. */
const arrivals = (() => {
  let seed = 1
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return (seed + 1) / 2 ** 32
  }
  const moments: Array<number> = []
  for (let at = 0; at < duration * 1000; at += (-Math.log(random()) / rate) * 1000) moments.push(at)
  return moments
})()

interface Served {
  /** Milliseconds from the wish to the lease, and from the lease to its end. */
  readonly waited: Array<number>
  readonly held: Array<number>
}

/** Requests come, whether earlier ones have been served or not. */
const serve = (pool: WebSocketPool.WebSocketPool): Promise<Served> =>
  new Promise((resolve, reject) => {
    const served: Served = { waited: [], held: [] }
    const ask = exchange(message)
    const request = Effect.suspend(() => {
      const wished = performance.now()
      let leased = 0
      return Effect.map(
        pool.use((connection) => {
          leased = performance.now()
          return ask(connection)
        }),
        () => {
          served.waited.push(leased - wished)
          served.held.push(performance.now() - leased)
          if (served.held.length === arrivals.length) resolve(served)
        }
      )
    })
    const start = performance.now()
    let next = 0
    const timer = setInterval(() => {
      const now = performance.now() - start
      for (; next < arrivals.length && arrivals[next]! <= now; next++) Effect.runPromise(request).catch(reject)
      if (next === arrivals.length) clearInterval(timer)
    }, 1)
  })

const quantile = (values: ReadonlyArray<number>, part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]!

const poolOf = (url: string, size: number) => makePool({ url, minConnections: size, maxConnections: size })

const sweep = (url: string, latency: number) =>
  Effect.gen(function* () {
    const measure = (size: number) =>
      Effect.scoped(
        Effect.flatMap(poolOf(`${url}/delay/${latency}`, size), (pool) => Effect.promise(() => serve(pool)))
      )
    const ample = yield* measure(Math.ceil((rate / 1000) * latency * 2) + 20)
    const held = median(ample.held)
    const load = (rate * held) / 1000
    const sizes = Array.from(
      new Set(deviations.map((deviation) => Math.max(1, Math.round(load + deviation * Math.sqrt(load)))))
    )
    const tries = sizes.map((size) => ({ size, medians: [] as Array<number>, lates: [] as Array<number> }))
    for (let pass = 0; pass < passes; pass++) {
      for (const { lates, medians, size } of order(tries, pass)) {
        const { waited } = yield* measure(size)
        medians.push(median(waited))
        lates.push(quantile(waited, 0.99))
      }
    }
    const points = tries.map(({ lates, medians, size }) => ({ size, median: median(medians), late: median(lates) }))
    return { latency, held, load, points }
  })

const closedSizes = [1, 2, 4, 8, 16, 32, 64]

/** How much gets through when there is always somebody who waits. */
const throughput = (url: string, latency: number) =>
  Effect.forEach(closedSizes, (size) =>
    Effect.gen(function* () {
      const pool = yield* poolOf(`${url}/delay/${latency}`, size)
      const ask = pool.use(exchange(message))
      const run = (times: number) => Effect.promise(() => fibers(times, size * 4, ask))
      yield* run(size * 4)
      const times = size * 4 * Math.max(1, Math.round(500 / latency / 4))
      const start = performance.now()
      yield* run(times)
      return [size, (times * 1000) / (performance.now() - start)] as const
    }).pipe(Effect.scoped)
  )

export const sizing: Case = {
  name: "sizing",
  about: `how long leases wait for, by the number of connections: ${number(rate)} requests/s, answers after ${latencies.join(", ")} ms`,
  run: ({ progress, url }) =>
    Effect.gen(function* () {
      const sweeps = yield* Effect.forEach(latencies, (latency) => {
        progress(`answers after ${latency} ms`)
        return sweep(url, latency)
      })
      const busy = latencies[1]!
      progress("throughput")
      const through = yield* throughput(url, busy)
      const heldMillis = sweeps[1]!.held
      const panels: ReadonlyArray<Panel> = [
        ...sweeps.map(
          ({ held, load, points }): Panel => ({
            title: `answers after ${held.toFixed(1)} ms: wait for a lease, ms`,
            series: [
              { name: "median", points: points.map(({ median, size }) => [size, median] as const) },
              { name: "99 %", points: points.map(({ late, size }) => [size, late] as const) }
            ],
            band: { from: 0, to: load, label: `below rate × time held = ${load.toFixed(1)}` }
          })
        ),
        {
          title: `requests/s at most, ${heldMillis.toFixed(1)} ms each`,
          series: [
            { name: "by formula", points: closedSizes.map((size) => [size, (size * 1000) / heldMillis]) },
            { name: "measured", points: through }
          ]
        }
      ]
      const report: Report = {
        name: "sizing",
        tables: [
          {
            title: `Wait for a lease, ${number(rate)} requests/s`,
            columns: [
              "time held",
              "rate × time held",
              "connections",
              "above it by … × its root",
              "median wait",
              "99 %"
            ],
            rows: sweeps.flatMap(({ held, load, points }) =>
              points.map(({ late, median, size }) => [
                `${held.toFixed(1)} ms`,
                load.toFixed(1),
                number(size),
                ((size - load) / Math.sqrt(load)).toFixed(1),
                `${median.toFixed(1)} ms`,
                `${late.toFixed(1)} ms`
              ])
            )
          },
          {
            title: `Requests/s at most, time held ${heldMillis.toFixed(1)} ms`,
            columns: ["connections", "connections ÷ time held", "measured"],
            rows: through.map(([size, measured]) => [
              number(size),
              `${number((size * 1000) / heldMillis)}/s`,
              `${number(measured)}/s`
            ])
          }
        ],
        targets: [],
        drawings: [
          {
            name: "sizing",
            lines: {
              title: "How many connections are enough",
              subtitle: `${number(rate)} requests per second that come independently of each other, for ${duration} s; medians of ${passes} tries`,
              x: "connections",
              panels
            }
          }
        ],
        samples: { sweeps, through }
      }
      return report
    })
}
