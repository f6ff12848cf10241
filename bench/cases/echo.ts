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
  type Table
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

const run = (settings: Settings) =>
  Effect.gen(function* () {
    const setting = { url: `${settings.url}/echo`, connections, message: small }
    const all = yield* contenders(Object.keys(peers) as Array<PeerName>, setting, connections)
    const measured = yield* measure(all, settings, 250)
    const heap = yield* measureHeap(
      all.filter(({ name }) => ["bare", "ask", "use", "get", "effect-pool"].includes(name)),
      settings
    )
    const kilobytes = (name: string): string => ((heap.get(name) ?? Number.NaN) / 1024).toFixed(1)
    const bare = of(measured, "bare")
    const ask = of(measured, "ask")
    const use = of(measured, "use")
    const get = of(measured, "get")
    const effectPool = of(measured, "effect-pool")
    const title = `Echo of ${small.length} bytes, ${connections} connections, ${connections} fibers`
    const report: Report = {
      name: "echo",
      tables: [
        table(title, measured),
        {
          title: "Heap for each of these echoes",
          columns: ["", "KB"],
          rows: Array.from(heap.keys(), (name) => [of(measured, name).label, kilobytes(name)])
        }
      ],
      targets: [
        {
          what: "echo of 64 bytes, `ask`: client CPU per request",
          measured: `${median(ask.cpu).toFixed(1)} µs`,
          against: `bare \`ws\`: ${median(bare.cpu).toFixed(1)} µs`,
          ratio: ratio(ask.cpu, bare.cpu),
          better: "less",
          least: 1.05,
          aim: 0.95
        },
        {
          what: "echo of 64 bytes, `use`: requests/s",
          measured: requests(use),
          against: `bare \`ws\`: ${requests(bare)}`,
          ratio: speed(use, bare),
          better: "more",
          least: 0.85,
          aim: 0.97
        },
        {
          what: "the same, scoped `get`",
          measured: requests(get),
          against: `bare \`ws\`: ${requests(bare)}`,
          ratio: speed(get, bare),
          better: "more",
          least: 0.7,
          aim: 0.85
        },
        {
          what: "the same, `use`: client CPU per request",
          measured: `${median(use.cpu).toFixed(1)} µs`,
          against: `bare \`ws\`: ${median(bare.cpu).toFixed(1)} µs`,
          ratio: ratio(use.cpu, bare.cpu),
          better: "less",
          least: 1.5,
          aim: 1.2
        },
        {
          what: "the same, `use`: requests/s",
          measured: requests(use),
          against: `Effect's \`Pool\` and \`Socket\`: ${requests(effectPool)}`,
          ratio: speed(use, effectPool),
          better: "more",
          least: 4.5,
          aim: 6
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
      const setting = { url: `${settings.url}/echo`, connections, message: small }
      const names = ["bare", "line", "scoped-line", "ask", "use", "get", "tarn", "generic-pool", "effect-pool"] as const
      const measured = yield* measure(yield* contenders(names, setting, manyWorkers), settings, 250)
      const bare = of(measured, "bare")
      const use = of(measured, "use")
      return {
        name: "waiters",
        tables: [table(`Echo of ${small.length} bytes, ${connections} connections, ${manyWorkers} fibers`, measured)],
        targets: [
          {
            what: `${manyWorkers} fibers on ${connections} connections, \`use\`: requests/s`,
            measured: requests(use),
            against: `bare \`ws\`: ${requests(bare)}`,
            ratio: speed(use, bare),
            better: "more",
            least: 0.8,
            aim: 0.95
          }
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
      const setting = { url: `${settings.url}/echo`, connections: largeConnections, message: large }
      const names = ["bare", "fiber", "use", "get", "undici", "effect-pool"] as const
      const measured = yield* measure(yield* contenders(names, setting, largeConnections, 64), settings, 400)
      const bare = of(measured, "bare")
      const use = of(measured, "use")
      return {
        name: "large",
        tables: [table(`Echo of 1 MiB, binary, ${largeConnections} connections, ${largeConnections} fibers`, measured)],
        targets: [
          {
            what: "binary messages of 1 MiB, `use`: requests/s",
            measured: requests(use),
            against: `bare \`ws\`: ${requests(bare)}`,
            ratio: speed(use, bare),
            better: "more",
            least: 0.95,
            aim: 1
          }
        ],
        drawings: [],
        samples: measured
      }
    })
}
