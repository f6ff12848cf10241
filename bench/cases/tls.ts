import { readFileSync } from "node:fs"
import { checkServerIdentity, connect, createSecureContext } from "node:tls"
import { WebSocket } from "ws"
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

/** A pool replaces nothing at once that has lasted less than a second. A process that has paused goes on slowly: so all do. */
const pause = () => Effect.runPromise(Effect.sleep("1100 millis"))

/** A pool that replaces all of its connections, and tells how many of the new ones have resumed a session. */
const refreshed = (name: string, label: string, url: string, options: NodeWebSocketTransport.Options) =>
  Effect.gen(function* () {
    const ca = readFileSync(inRoot("test/fixtures/tls/ca.pem"))
    const pool = yield* WebSocketPool.make({ url, minConnections: connections, maxConnections: connections }).pipe(
      Effect.provide(NodeWebSocketTransport.layer({ ca, ...options }))
    )
    yield* pool.ready
    const counted = Effect.map(pool.ask("count"), (answer): Counted => JSON.parse(String(answer)))
    const closed = Effect.suspend(
      (): Effect.Effect<void> =>
        Effect.flatMap(pool.stats, ({ closing }) =>
          closing === 0 ? Effect.void : Effect.andThen(Effect.sleep("1 millis"), closed)
        )
    )
    const turn = Effect.andThen(pool.refresh, Effect.andThen(pool.ready, closed))
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
      after: pause
    }
    return { contender, resumed: () => median(shares) }
  })

/** Bare `ws`, which offers the latest session or none, and closes what it had as soon as the new ones are open. */
const bare = (name: string, label: string, url: string, resumes: boolean) => {
  const secureContext = createSecureContext({ ca: readFileSync(inRoot("test/fixtures/tls/ca.pem")) })
  const { hostname: host, port } = new URL(url)
  let session: Buffer | undefined
  let sockets: ReadonlyArray<WebSocket> = []
  const shares: Array<number> = []
  const createConnection = () => {
    const offered = session === undefined ? {} : { session }
    const line = connect({ host, port: Number(port), secureContext, ...offered })
    if (resumes) {
      line.on("session", (data: Buffer) => {
        session = data
      })
    }
    return line
  }
  const open = () =>
    new Promise<WebSocket>((resolve, reject) => {
      const socket = new WebSocket(url, { createConnection, perMessageDeflate: false })
      socket.once("open", () => resolve(socket))
      socket.once("error", reject)
    })
  const close = (socket: WebSocket) =>
    new Promise((resolve) => {
      socket.once("close", resolve)
      socket.close()
    })
  const counted = (socket: WebSocket) =>
    new Promise<Counted>((resolve) => {
      socket.once("message", (answer) => resolve(JSON.parse(String(answer))))
      socket.send("count")
    })
  const contender: Contender = {
    ...{ name, label, isOurs: false, turns: connections },
    run: async () => {
      const old = sockets
      if (old[0] !== undefined) await counted(old[0])
      sockets = await Promise.all(Array.from({ length: connections }, open))
      const { all, reused } = await counted(sockets[0]!)
      shares.push(reused / all)
      await Promise.all(old.map(close))
    },
    after: pause
  }
  return { contender, resumed: () => median(shares) }
}

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
      const bareFull = bare("bare-full", "bare `ws`, a full handshake each", url, false)
      const bareResumed = bare("bare-resumed", "bare `ws`, sessions resumed", url, true)
      const measured = yield* measure(
        [bareFull, bareResumed, full, resumed].map(({ contender }) => contender),
        settings,
        0
      )
      const [first, second] = [of(measured, "full"), of(measured, "resumed")]
      const micros = (cpu: ReadonlyArray<number>): string => `${number(median(cpu))} µs`
      const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
      return {
        name: "tls",
        tables: [
          {
            title: `TLS, ${connections} connections opened by \`refresh\``,
            columns: ["", "resumed", "took", "full = 1", "client CPU per connection, µs", "full = 1"],
            rows: [
              { name: "bare-full", next: "bare-full", share: percent(bareFull.resumed()) },
              { name: "bare-resumed", next: "bare-full", share: percent(bareResumed.resumed()) },
              { name: "full", next: "full", share: percent(full.resumed()) },
              { name: "resumed", next: "full", share: percent(resumed.resumed()) }
            ].map(({ name, next, share }) => {
              const { cpu, label, nanos } = of(measured, name)
              const against = of(measured, next)
              return [
                label,
                share,
                `${number((median(nanos) * connections) / 1e6)} ms`,
                ratio(nanos, against.nanos).toFixed(2),
                number(median(cpu)),
                ratio(cpu, against.cpu).toFixed(2)
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
            against: `${first.label}: ${micros(first.cpu)}`,
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
