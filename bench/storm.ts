/**
 * How often pools connect while a server is in trouble: `npm run storm`.
 *
 * Simulated time and a server in memory, so every figure is exact and the same in each run. Connecting takes no time
 * there, so nothing but the pools' own back-off slows them down.
 */
import { writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as Random from "#effect/Random"
import * as Scope from "#effect/Scope"
import { liveFibers, quietly, repeated } from "#support/fibers"
import { World } from "../test/simulation/world.js"
import { render } from "./chart.js"

export const pools = 20
export const minConnections = 5
export const maxConnections = 10
/** Seconds without trouble, with it, and afterwards. */
export const calm = 10
export const trouble = 120
const aftermath = 60

export interface Scenario {
  readonly name: string
  readonly trouble: "away" | "slams" | "hangsUp" | "floods"
  /** Fibers of each pool that use a connection, pause for a second or so, and use one again, whether it failed or not. */
  readonly users: number
  readonly drain?: WebSocketPool.Options["drain"]
}

export const scenarios = {
  away: { name: "the server is away", trouble: "away", users: 0 },
  awayInUse: { name: "the server is away, 5 users per pool", trouble: "away", users: 5 },
  slams: { name: "it closes every connection at once", trouble: "slams", users: 0 },
  slamsInUse: { name: "it closes every connection at once, 5 users", trouble: "slams", users: 5 },
  hangsUp: { name: "it closes every connection after 1.1 s", trouble: "hangsUp", users: 0 },
  floods: { name: "it floods every connection, 5 users", trouble: "floods", users: 5 },
  floodsDrained: {
    name: "it floods every connection, 5 users, `drain`",
    trouble: "floods",
    users: 5,
    drain: { quietPeriod: 500 }
  }
} satisfies Record<string, Scenario>

export interface Storm {
  /** Attempts to connect in each second, over all pools. */
  readonly attempts: ReadonlyArray<number>
  /** How often the users have asked for a connection in each second. */
  readonly wishes: ReadonlyArray<number>
  /** Seconds from the end of the trouble until every pool has `minConnections` open. */
  readonly recovery: number
  /** The most sockets that there were at once. */
  readonly mostSockets: number
  /** Sockets, sleeping fibers and root fibers that are left when all pools are closed. */
  readonly left: number
}

const flood = Array.from({ length: 3 }, (_, index) => `${index}`.padEnd(100, "x"))

class Server {
  trouble: Scenario["trouble"] | undefined
  readonly peers = new Set<WebSocketTransport.MemoryPeer>()
  sockets = 0
  mostSockets = 0

  constructor(readonly onAttempt: () => void) {}

  /** Pours messages over its client, whoever has it, and whether it reads or not. */
  private pour(peer: WebSocketTransport.MemoryPeer) {
    const burst = Effect.suspend(() =>
      this.trouble === "floods"
        ? Effect.forEach(flood, (message) => peer.send(message), { discard: true })
        : Effect.void
    )
    return Effect.ignore(Effect.forever(Effect.andThen(burst, Effect.sleep(400))))
  }

  private readonly serve = (peer: WebSocketTransport.MemoryPeer) =>
    Effect.suspend(() => {
      if (this.trouble === "slams") return peer.close(1000, "not today")
      if (this.trouble === "hangsUp") return Effect.andThen(Effect.sleep(1100), peer.close(1000, "time is up"))
      this.peers.add(peer)
      return Effect.andThen(Effect.forkScoped(this.pour(peer)), Effect.forever(peer.receive))
    }).pipe(Effect.ensuring(Effect.sync(() => this.peers.delete(peer))))

  readonly transport = Layer.effect(
    WebSocketTransport.WebSocketTransport,
    Effect.map(WebSocketTransport.WebSocketTransport, ({ connect }) => ({
      connect: (request: WebSocketTransport.ConnectRequest, events: WebSocketTransport.SocketEvents) =>
        Effect.suspend(() => {
          this.onAttempt()
          if (this.trouble === "away") {
            const cause = new Error("connect ECONNREFUSED")
            return Effect.fail(new WebSocketTransport.TransportError({ reason: "Network", cause }))
          }
          return connect(request, {
            onOpen: (socket) => {
              this.sockets += 1
              this.mostSockets = Math.max(this.mostSockets, this.sockets)
              events.onOpen(socket)
            },
            onMessage: (message, bytes) => events.onMessage(message, bytes),
            onPong: (payload) => events.onPong(payload),
            onFlush: () => events.onFlush(),
            onEnd: (info) => events.onEnd(info),
            onGone: () => {
              this.sockets -= 1
              events.onGone()
            }
          })
        })
    }))
  ).pipe(Layer.provide(WebSocketTransport.layerMemory(this.serve)))

  /** What the trouble means for those who are connected already. */
  readonly begin = (trouble: Scenario["trouble"]) =>
    Effect.suspend(() => {
      this.trouble = trouble
      if (trouble === "floods") return Effect.void
      const end = (peer: WebSocketTransport.MemoryPeer) => (trouble === "away" ? peer.destroy : peer.close(1000))
      return Effect.forEach(Array.from(this.peers), end, { discard: true })
    })
}

/** Lives through a scenario. The same seed gives the same storm. */
export const live = (scenario: Scenario, seed = 1): Storm => {
  const world = new World(seed, 0)
  return world.run(() => liveIn(world, scenario))
}

const liveIn = (world: World, scenario: Scenario): Storm => {
  const seconds = calm + trouble + aftermath
  const attempts = Array<number>(seconds).fill(0)
  const wishes = Array<number>(seconds).fill(0)
  const count = (counts: Array<number>) => {
    const second = Math.min(seconds - 1, Math.floor(world.now / 1000))
    counts[second] = counts[second]! + 1
  }
  const before = liveFibers()

  const server = new Server(() => count(attempts))
  const made: Array<WebSocketPool.WebSocketPool> = []
  const user = (pool: WebSocketPool.WebSocketPool) =>
    Effect.sync(() => count(wishes)).pipe(
      Effect.andThen(pool.use((connection) => connection.send("hello"))),
      Effect.ignore,
      Effect.andThen(Effect.flatMap(Random.next, (share) => Effect.sleep(500 + 1000 * share))),
      Effect.forever
    )
  const pool = Effect.gen(function* () {
    const { drain, users } = scenario
    const pool = yield* WebSocketPool.make({ url: "ws://simulated", minConnections, maxConnections, drain })
    made.push(pool)
    for (let n = 0; n < users; n++) yield* Effect.forkScoped(user(pool))
  })

  const scope = Effect.runSync(Scope.make())
  // The wire is there before the pools, and closed after them.
  const all = Effect.flatMap(Layer.buildWithScope(server.transport, scope), (wire) =>
    Scope.provide(Effect.provide(repeated(pool, pools - 1), wire), scope)
  )
  world.fork(quietly(all))
  const isWhole = () =>
    made.length === pools &&
    made.every((pool) => {
      const { busy, draining, idle } = Effect.runSync(pool.stats)
      return busy + draining + idle >= minConnections
    })

  world.advance(calm * 1000)
  if (!isWhole()) throw new Error("the pools have not opened their connections")
  world.fork(server.begin(scenario.trouble))
  world.advance(trouble * 1000)
  server.trouble = undefined
  let recovery = Number.POSITIVE_INFINITY
  for (let tenth = 1; tenth <= aftermath * 10; tenth++) {
    world.advance(100)
    if (recovery === Number.POSITIVE_INFINITY && isWhole()) recovery = tenth / 10
  }
  world.fork(Scope.close(scope, Exit.void))
  world.advance(10_000)
  const left = server.sockets + world.sleeping + liveFibers() - before
  return { attempts, wishes, recovery, mostSockets: server.mostSockets, left }
}

export const sum = (counts: ReadonlyArray<number>): number => counts.reduce((all, one) => all + one, 0)

/** The seconds of the trouble from one to another. */
export const during = (counts: ReadonlyArray<number>, from: number, to = trouble): ReadonlyArray<number> =>
  counts.slice(calm + from, calm + to)

const print = (rows: ReadonlyArray<ReadonlyArray<string>>): void => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  for (const [index, row] of rows.entries()) {
    console.log(
      `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[at]!))).join(" | ")} |`
    )
    if (index === 0)
      console.log(`|${widths.map((width, at) => "-".repeat(width + 1) + (at === 0 ? "-" : ":")).join("|")}|`)
  }
}

const main = (): void => {
  const storms = Object.values<Scenario>(scenarios).map((scenario) => ({ scenario, storm: live(scenario) }))
  console.log(
    `${pools} pools, ${minConnections} to ${maxConnections} connections each, trouble for ${trouble} s; attempts over all pools\n`
  )
  const perSecond = (counts: ReadonlyArray<number>) => (sum(counts) / counts.length).toFixed(1)
  print([
    [
      "trouble",
      "in its 1st s",
      "in 10 s",
      "then: peak/s",
      "mean/s",
      "asked for/s",
      "sockets at most",
      "whole again after"
    ],
    ...storms.map(({ scenario, storm: { attempts, mostSockets, recovery, wishes } }) => [
      scenario.name,
      String(during(attempts, 0, 1)[0]),
      String(sum(during(attempts, 0, 10))),
      String(Math.max(...during(attempts, 10))),
      perSecond(during(attempts, 10)),
      perSecond(during(wishes, 10)),
      String(mostSockets),
      `${recovery.toFixed(1)} s`
    ])
  ])
  const chart = render({
    title: "Attempts to connect per second while a server is in trouble",
    subtitle: `${pools} pools of ${minConnections} to ${maxConnections} connections each, simulated time; the server is in trouble for ${trouble} s`,
    x: "seconds",
    panels: storms.map(({ scenario: { name, users }, storm: { attempts, wishes } }) => ({
      title: name.replaceAll("`", ""),
      band: { from: calm, to: calm + trouble, label: "trouble" },
      series: [
        { name: "attempts", points: attempts.map((count, second) => [second, count] as const) },
        ...(users === 0 ? [] : [{ name: "asked for", points: wishes.map((count, second) => [second, count] as const) }])
      ]
    }))
  })
  const file = fileURLToPath(new URL("../docs/charts/storm.svg", import.meta.url))
  writeFileSync(file, chart)
  console.log("\nwrote docs/charts/storm.svg")
}

if (resolve(process.argv[1] ?? "") === fileURLToPath(import.meta.url)) main()
