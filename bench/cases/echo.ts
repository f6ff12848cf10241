import { pooledBounds, scopedBounds } from "#bench/dialect"
import * as Effect from "#effect/Effect"
import {
  type AnyContender,
  type Case,
  comparison,
  type Measured,
  measure,
  measureHeap,
  median,
  number,
  of,
  perSecond,
  type Report,
  type Runner,
  ratio,
  type Settings,
  speed,
  type Table,
  type Target
} from "../harness.js"
import { type PeerName, peers, type Setting } from "../peers.js"

const connections = 16
const small = "x".repeat(64)

/** Those peers, each connected to the server. */
const contenders = (names: ReadonlyArray<PeerName>, setting: Setting, workers: number, turns?: number) =>
  Effect.forEach(names, (name) => {
    const { isOurs, label, peer } = peers[name]
    return Effect.map(peer(setting), (ask): AnyContender & Runner => ({
      name,
      label,
      isOurs,
      workers,
      run: (turns) => ask(turns, workers),
      ...(turns === undefined ? {} : { turns })
    }))
  })

const table = (title: string, measured: ReadonlyArray<Measured>): Table =>
  comparison(title, "requests/s", "bare `ws` = 1", measured)

const requests = (one: Measured): string => `${number(perSecond(one))}/s`

/** How far it has to get. */
type Bounds = Pick<Target, "least" | "aim">

const cpuTarget = (what: string, one: Measured, other: Measured, bounds: Bounds): Target => ({
  what: `${what}: client CPU per request`,
  measured: `${median(one.cpu).toFixed(1)} µs`,
  against: `${other.label}: ${median(other.cpu).toFixed(1)} µs`,
  ratio: ratio(one.cpu, other.cpu),
  better: "less",
  ...bounds
})

const rateTarget = (what: string, one: Measured, bare: Measured, bounds: Bounds): Target => ({
  what: `${what}: requests/s`,
  measured: requests(one),
  against: `bare \`ws\`: ${requests(bare)}`,
  ratio: speed(one, bare),
  better: "more",
  ...bounds
})

const run = (settings: Settings) =>
  Effect.gen(function* () {
    const setting = { url: `${settings.url}/reflect`, connections, message: small }
    // No message stands in line: there are as many fibers as connections.
    const names = (Object.keys(peers) as Array<PeerName>).filter((name) => name !== "message-line")
    const all = yield* contenders(names, setting, connections)
    const measured = yield* measure(all, settings, 250)
    const heap = yield* measureHeap(
      // Effect's `Pool` leaves so much that it is collected meanwhile.
      all.filter(({ name }) =>
        ["bare", "fiber", "line", "safe-line", "scoped-line", "ask", "use", "get"].includes(name)
      ),
      settings
    )
    const kilobytes = (name: string): number => (heap.get(name) ?? Number.NaN) / 1024
    const heapTarget = (name: string, other: string, bounds: Bounds): Target => ({
      what: `echo of 64 bytes, \`${name}\`: heap of each`,
      measured: `${kilobytes(name).toFixed(1)} KB`,
      against: `${of(measured, other).label}: ${kilobytes(other).toFixed(1)} KB`,
      ratio: kilobytes(name) / kilobytes(other),
      better: "less",
      ...bounds
    })
    const bare = of(measured, "bare")
    const ask = of(measured, "ask")
    const use = of(measured, "use")
    const get = of(measured, "get")
    const effectPool = of(measured, "effect-pool")
    const { against, ...scopedBound } = scopedBounds
    const title = `Echo of ${small.length} bytes, ${connections} connections, ${connections} fibers`
    const report: Report = {
      name: "echo",
      tables: [
        table(title, measured),
        {
          title: "Heap for each of these echoes",
          columns: ["", "KB"],
          rows: Array.from(heap.keys(), (name) => [of(measured, name).label, kilobytes(name).toFixed(1)])
        }
      ],
      targets: [
        cpuTarget("echo of 64 bytes, `ask`", ask, bare, { least: 1.05, aim: 0.95 }),
        rateTarget("the same, `ask`", ask, bare, { least: 0.95, aim: 1 }),
        cpuTarget("the same, `use`", use, bare, { least: 1.25, aim: 1.1 }),
        rateTarget("the same, `use`", use, bare, { least: 0.82, aim: 0.92 }),
        cpuTarget("the same, scoped `get`", get, of(measured, against), scopedBound),
        heapTarget("ask", "fiber", { least: 0.8, aim: 0.6 }),
        heapTarget("use", "safe-line", { least: 1.2, aim: 1 }),
        {
          what: "the same, `use`: requests/s",
          measured: requests(use),
          against: `Effect's \`Pool\` and \`Socket\`: ${requests(effectPool)}`,
          ratio: speed(use, effectPool),
          better: "more",
          ...pooledBounds
        }
      ],
      drawings: [
        {
          name: "echo",
          bars: {
            title,
            subtitle: "One client process, one server process, over the loopback interface",
            panels: [
              {
                title: "requests per second: more is better",
                bars: measured.map((one) => ({ name: one.label, value: perSecond(one), isOurs: one.isOurs }))
              },
              {
                title: "client CPU per request, in µs: less is better",
                // Connecting costs so much that nothing could be seen of the others.
                bars: measured
                  .filter(({ name }) => name !== "connection-per-request")
                  .map((one) => ({ name: one.label, value: median(one.cpu), isOurs: one.isOurs }))
              }
            ]
          }
        }
      ],
      samples: measured
    }
    return report
  })

export const echo: Case = {
  name: "echo",
  about: `an echo of ${small.length} bytes, ${connections} connections, as many fibers`,
  run
}

const manyWorkers = 256

export const waiters: Case = {
  name: "waiters",
  about: `the same with ${manyWorkers} fibers, so that most of them wait for a connection`,
  run: (settings) =>
    Effect.gen(function* () {
      const setting = { url: `${settings.url}/reflect`, connections, message: small }
      const names = [
        "bare",
        "message-line",
        "line",
        "safe-line",
        "scoped-line",
        "ask",
        "use",
        "get",
        "tarn",
        "generic-pool",
        "effect-pool"
      ] as const
      const measured = yield* measure(yield* contenders(names, setting, manyWorkers), settings, 250)
      const title = `${manyWorkers} fibers on ${connections} connections`
      return {
        name: "waiters",
        tables: [table(`Echo of ${small.length} bytes, ${connections} connections, ${manyWorkers} fibers`, measured)],
        targets: [
          cpuTarget(`${title}, \`ask\``, of(measured, "ask"), of(measured, "bare"), { least: 1.2, aim: 1.05 }),
          cpuTarget(`${title}, \`use\``, of(measured, "use"), of(measured, "safe-line"), { least: 1.1, aim: 1 })
        ],
        drawings: [],
        samples: measured
      }
    })
}

const largeConnections = 4
const large = Buffer.alloc(1024 * 1024, 1)

export const largeMessages: Case = {
  name: "large",
  about: `an echo of 1 MiB, binary, ${largeConnections} connections, as many fibers`,
  run: (settings) =>
    Effect.gen(function* () {
      const setting = { url: `${settings.url}/reflect`, connections: largeConnections, message: large }
      const names = ["bare", "fiber", "use", "get", "undici", "effect-pool"] as const
      const measured = yield* measure(yield* contenders(names, setting, largeConnections, 64), settings, 400)
      const bare = of(measured, "bare")
      const use = of(measured, "use")
      return {
        name: "large",
        tables: [table(`Echo of 1 MiB, binary, ${largeConnections} connections, ${largeConnections} fibers`, measured)],
        targets: [rateTarget("binary messages of 1 MiB, `use`", use, bare, { least: 1.3, aim: 1.8 })],
        drawings: [],
        samples: measured
      }
    })
}
