import { readFileSync } from "node:fs"
import { checkServerIdentity } from "node:tls"
import * as Effect from "#effect/Effect"
import { WebSocketPool } from "../../src/index.js"
import { NodeWebSocketTransport } from "../../src/node.js"
import { type Case, type Contender, child, measure, median, number, of, type Report, ratio } from "../harness.js"
import { inRoot } from "../report.js"

const connections = 50

/** What the server has counted since it was asked last. */
interface Counted {
  readonly all: number
  readonly reused: number
}

/** A pool that replaces all of its connections, and tells how many of the new ones have resumed a session. */
const refreshed = (name: string, label: string, url: string, options: NodeWebSocketTransport.Options) =>
  Effect.gen(function* () {
    const ca = readFileSync(inRoot("test/fixtures/tls/ca.pem"))
    const pool = yield* WebSocketPool.make({ url, minConnections: connections, maxConnections: connections }).pipe(
      Effect.provide(NodeWebSocketTransport.layer({ ca, ...options }))
    )
    yield* pool.ready
    const counted = Effect.map(pool.ask("count"), (answer): Counted => JSON.parse(String(answer)))
    const turn = Effect.andThen(pool.refresh, pool.ready)
    const shares: Array<number> = []
    const contender: Contender = {
      name,
      label,
      isOurs: true,
      turns: connections,
      run: async () => {
        await Effect.runPromise(counted)
        await Effect.runPromise(turn)
        const { all, reused } = await Effect.runPromise(counted)
        shares.push(reused / all)
      },
      // What has lasted less than a second is not replaced at once.
      after: () => Effect.runPromise(Effect.sleep("1100 millis"))
    }
    return { contender, resumed: () => median(shares) }
  })

export const tls: Case = {
  name: "tls",
  about: `TLS: opening ${connections} connections by \`refresh\`, with sessions resumed and without`,
  run: (settings) =>
    Effect.gen(function* () {
      const [, port] = yield* child("./tlsServer.js")
      const url = `wss://127.0.0.1:${port}`
      // Sessions that a check of the user's own has passed are never kept.
      const full = yield* refreshed("full", "`WebSocketPool`, a full handshake each", url, { checkServerIdentity })
      const resumed = yield* refreshed("resumed", "`WebSocketPool`, sessions resumed", url, {})
      const measured = yield* measure([full.contender, resumed.contender], settings, 0)
      const [first, second] = [of(measured, "full"), of(measured, "resumed")]
      const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
      const micros = (cpu: ReadonlyArray<number>): string => `${number(median(cpu))} µs`
      return {
        name: "tls",
        tables: [
          {
            title: `TLS, ${connections} connections opened by \`refresh\``,
            columns: ["", "resumed", "took", "full = 1", "client CPU per connection, µs", "full = 1"],
            rows: [full, resumed].map(({ contender, resumed }, index) => {
              const { cpu, nanos } = measured[index]!
              return [
                contender.label,
                percent(resumed()),
                `${number((median(nanos) * connections) / 1e6)} ms`,
                ratio(nanos, first.nanos).toFixed(2),
                number(median(cpu)),
                ratio(cpu, first.cpu).toFixed(2)
              ]
            })
          }
        ],
        targets: [
          {
            what: "TLS, connections opened by `refresh` that resume a session",
            measured: percent(resumed.resumed()),
            against: "all",
            ratio: resumed.resumed(),
            better: "more",
            least: 0.95,
            aim: 0.98
          },
          {
            what: "the same: client CPU per connection",
            measured: micros(second.cpu),
            against: `full handshakes: ${micros(first.cpu)}`,
            ratio: ratio(second.cpu, first.cpu),
            better: "less",
            least: 0.8,
            aim: 0.7
          }
        ],
        drawings: [],
        samples: measured
      } satisfies Report
    })
}
