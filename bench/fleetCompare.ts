/**
 * What a limit for a whole fleet does, next to other ways to have one: `npm run fleet -- --compare`. All workers are in
 * this process; the engine and its connections are real, and so is the backend, which refuses what is above the limit.
 */
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { ConnectionQuota, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import { RedisConnectionQuota } from "effect-websocket-pool/redis"
import { Redis } from "ioredis"
import { Semaphore } from "redis-semaphore"
import { WebSocket, WebSocketServer } from "ws"
import { RedisServer } from "../test/support/redisServer.js"
import { withoutWarnings } from "./dialect.3.js"
import { client, engineRows, member, quotaAt } from "./fleetEngine.js"
import { table } from "./report.js"

const workers = 40
const greedy = 4
const limit = 100
/** Requests at once: of most workers, and of those that take what they can get. */
const few = 2
const many = 20
/** How long each request holds a connection, in milliseconds. */
const hold = 100

/** A server that refuses what is above the limit, and counts. */
const backend = async () => {
  const server = new WebSocketServer({ noServer: true })
  const http = createServer()
  const seen = { sockets: 0, most: 0, refused: 0 }
  http.on("upgrade", (request, socket, head) => {
    // Who is refused, or ends while it still connects, may reset its socket.
    socket.on("error", () => undefined)
    seen.most = Math.max(seen.most, seen.sockets + 1)
    if (seen.sockets >= limit) {
      seen.refused += 1
      socket.end("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
      return
    }
    seen.sockets += 1
    socket.on("close", () => {
      seen.sockets -= 1
    })
    server.handleUpgrade(request, socket, head, (client) => {
      client.on("message", (data) => client.send(String(data)))
      client.on("error", () => undefined)
    })
  })
  http.listen(0, "127.0.0.1")
  await once(http, "listening")
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`
  const end = (): void => {
    for (const client of server.clients) client.terminate()
    http.close()
  }
  return { seen, url, end }
}

interface Place {
  readonly url: string
  readonly port: number
  readonly served: (worker: number) => void
}

type Contender = (place: Place) => Effect.Effect<void, unknown, Scope.Scope>

const wants = (worker: number): number => (worker < greedy ? many : few)

/** Pools, each with its own limit; and with a quota, if there is one. */
const pools =
  (
    maxConnections: number,
    quotaOf?: (port: number) => Effect.Effect<ConnectionQuota.ConnectionQuota, unknown, Scope.Scope>
  ): Contender =>
  ({ port, served, url }) =>
    Effect.forEach(
      Array.from({ length: workers }, (_, worker) => worker),
      (worker) =>
        Effect.gen(function* () {
          const quota = quotaOf === undefined ? {} : { quota: yield* quotaOf(port) }
          const retry = Schedule.spaced("50 millis")
          const pool = yield* WebSocketPool.make({ url, maxConnections, retry, ...quota })
          const request = pool.use((connection) =>
            Effect.zipRight(connection.send("?"), Effect.zipRight(connection.receive, Effect.sleep(hold)))
          )
          const counted = Effect.ignore(Effect.tap(request, () => Effect.sync(() => served(worker))))
          for (let index = 0; index < wants(worker); index++) yield* Effect.forkScoped(Effect.forever(counted))
        }),
      { discard: true }
    ).pipe(Effect.provide(NodeWebSocketTransport.layer()))

/** A connection for each turn of ten requests, each under a semaphore of `redis-semaphore`. */
const semaphores: Contender = ({ port, served, url }) =>
  Effect.gen(function* () {
    const state = { isOver: false }
    const loops: Array<Promise<void>> = []
    const clients = yield* Effect.forEach(Array.from({ length: workers }), () => client(port))
    // Before the clients end: a semaphore that renews itself on a closed one would end the process.
    yield* Effect.addFinalizer(() =>
      Effect.promise(async () => {
        state.isOver = true
        await Promise.allSettled(loops)
      })
    )
    const turn = async (redis: Redis, worker: number): Promise<void> => {
      const semaphore = new Semaphore(redis, "compare", limit, {
        lockTimeout: 3000,
        acquireTimeout: 5000,
        onLockLost: () => undefined
      })
      await semaphore.acquire()
      const socket = new WebSocket(url)
      try {
        await once(socket, "open")
        for (let request = 0; request < 10 && !state.isOver; request++) {
          const answered = once(socket, "message")
          socket.send("?")
          await answered
          await sleep(hold)
          served(worker)
        }
      } finally {
        const closed = once(socket, "close")
        socket.close()
        await closed
        await semaphore.release()
      }
    }
    for (const [worker, redis] of clients.entries()) {
      for (let index = 0; index < wants(worker); index++) {
        const loop = async (): Promise<void> => {
          while (!state.isOver) await turn(redis, worker).catch(() => sleep(50))
        }
        loops.push(loop())
      }
    }
  })

const contenders: ReadonlyArray<readonly [string, Contender]> = [
  ["a quota", pools(many, (port) => quotaAt(port))],
  ["redis-semaphore", semaphores],
  [`maxConnections ${Math.floor(limit / workers)}`, pools(Math.floor(limit / workers))],
  [`maxConnections ${many}`, pools(many)]
]

const extremes = (counts: ReadonlyArray<number>): number => Math.max(...counts) / Math.max(Math.min(...counts), 1)
const mean = (counts: ReadonlyArray<number>): number => counts.reduce((sum, count) => sum + count, 0) / counts.length
const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

const contend = async (name: string, contender: Contender, seconds: number): Promise<ReadonlyArray<string>> => {
  const engine = await RedisServer.start()
  const { end, seen, url } = await backend()
  const counts = Array.from({ length: workers }, () => 0)
  const scope = Effect.runSync(Scope.make())
  let isCounting = false
  const served = (worker: number): void => {
    if (isCounting) counts[worker] = counts[worker]! + 1
  }
  await Effect.runPromise(withoutWarnings(Scope.extend(contender({ url, port: engine.port, served }), scope)))
  // The engine recovers first, and shares settle.
  await sleep(10_000)
  isCounting = true
  await sleep(seconds * 1000)
  isCounting = false
  await Effect.runPromise(Scope.close(scope, Exit.void))
  end()
  await engine.end()
  const small = counts.slice(greedy)
  return [
    name,
    Math.round((mean(counts) * workers) / seconds).toLocaleString("en-US"),
    seen.refused.toLocaleString("en-US"),
    String(Math.max(seen.most - limit, 0)),
    extremes(small).toFixed(2),
    (mean(counts.slice(0, greedy)) / Math.max(mean(small), 1)).toFixed(1)
  ]
}

/** How long after a release elsewhere a waiter has its permit, and how long after a kill. */
const wakeUps = (port: number) =>
  Effect.gen(function* () {
    const options = { name: "wake", connections: 1, ttl: 3000, recovery: 100 }
    const shares = yield* Effect.forEach([0, 1], () =>
      Effect.flatMap(quotaAt(port, options), (quota) => quota.join(member))
    )
    const times: Array<number> = []
    const granted = (share: ConnectionQuota.QuotaShare) =>
      Effect.async<ConnectionQuota.QuotaPermit>((resume) => {
        share.take("waiter", (permit) => resume(Effect.succeed(permit)))
      })
    let held = yield* granted(shares[0]!)
    held.opened()
    for (let turn = 1; turn <= 200; turn++) {
      let at = 0
      const next = yield* Effect.fork(
        Effect.tap(granted(shares[turn % 2]!), () =>
          Effect.sync(() => {
            at = performance.now()
          })
        )
      )
      yield* Effect.sleep("5 millis")
      const from = performance.now()
      held.release()
      held = yield* Effect.fromFiber(next)
      held.opened()
      times.push(at - from)
    }
    held.release()
    return median(times)
  }).pipe(Effect.scoped)

const semaphoreWakeUps = (port: number) =>
  Effect.gen(function* () {
    const redis = yield* client(port)
    return yield* Effect.promise(async () => {
      const times: Array<number> = []
      let held = new Semaphore(redis, "wake", 1)
      await held.acquire()
      for (let turn = 0; turn < 200; turn++) {
        const next = new Semaphore(redis, "wake", 1)
        let at = 0
        const acquired = next.acquire().then(() => {
          at = performance.now()
        })
        await sleep(5)
        const from = performance.now()
        await held.release()
        await acquired
        held = next
        times.push(at - from)
      }
      await held.release()
      return median(times)
    })
  }).pipe(Effect.scoped)

/** How long after its last report a killed worker's permit is free, in milliseconds. */
const killed = (port: number) =>
  Effect.gen(function* () {
    const options = { name: "killed", connections: 1, ttl: 3000, recovery: 100 }
    const heart = new Redis({ host: "127.0.0.1", port })
    let reportedAt = 0
    const dying: RedisConnectionQuota.Client = {
      command: ([name, ...args]) =>
        Effect.map(
          Effect.tryPromise(() => heart.call(name!, ...args)),
          (reply) => {
            reportedAt = performance.now()
            return reply
          }
        ),
      subscribe: () => Effect.void
    }
    const build = Layer.build(RedisConnectionQuota.layer({ ...options, client: dying }))
    const quota = Context.get(yield* build, ConnectionQuota.ConnectionQuota)
    const share = yield* quota.join(member)
    const first = yield* Effect.async<ConnectionQuota.QuotaPermit>((resume) => {
      share.take("waiter", (permit) => resume(Effect.succeed(permit)))
    })
    first.opened()
    yield* Effect.sleep("500 millis")
    heart.disconnect()
    const other = yield* Effect.flatMap(quotaAt(port, options), (one) => one.join(member))
    yield* Effect.async<void>((resume) => {
      other.take("waiter", () => resume(Effect.void))
    })
    return performance.now() - reportedAt - options.ttl
  }).pipe(Effect.scoped)

/** What a lease of an idle connection takes, in a pool without a quota and in one with a quota. */
const leaseRows = async (): Promise<ReadonlyArray<ReadonlyArray<string>>> => {
  const { end, url } = await backend()
  const turns = 20_000
  const measured = Effect.gen(function* () {
    const context = yield* Layer.build(ConnectionQuota.layerMemory({ name: "lease", connections: 10 }))
    const quota = Context.get(context, ConnectionQuota.ConnectionQuota)
    const pools = [
      yield* WebSocketPool.make({ url, maxConnections: 1 }),
      yield* WebSocketPool.make({ url, maxConnections: 1, quota })
    ]
    const times: ReadonlyArray<Array<number>> = pools.map(() => [])
    // By turns, and the first of them is for the compiler.
    for (let round = 0; round <= 20; round++) {
      for (const [index, pool] of pools.entries()) {
        const from = performance.now()
        yield* Effect.repeatN(
          pool.use(() => Effect.void),
          turns - 1
        )
        if (round > 0) times[index]!.push(((performance.now() - from) * 1000) / turns)
      }
    }
    return times.map(median)
  })
  const [without = 0, withOne = 0] = await Effect.runPromise(
    withoutWarnings(measured.pipe(Effect.scoped, Effect.provide(NodeWebSocketTransport.layer())))
  )
  end()
  return [
    ["a lease of an idle connection, in a pool without a quota", `${without.toFixed(2)} µs`],
    ["the same with a quota in memory", `${withOne.toFixed(2)} µs`]
  ]
}

export const compare = async (seconds: number): Promise<void> => {
  const rows: Array<ReadonlyArray<string>> = []
  for (const [name, contender] of contenders) {
    rows.push(await contend(name, contender, seconds))
    console.log(rows.at(-1)!.join("  "))
  }
  const shares = table({
    columns: [`${workers} workers, ${greedy} greedy`, "requests/s", "refused", "above", "max/min", "greedy/small"],
    rows
  })
  const server = await RedisServer.start()
  const [wake, poll, free] = await Effect.runPromise(
    withoutWarnings(
      Effect.gen(function* () {
        const wake = yield* wakeUps(server.port)
        const poll = yield* semaphoreWakeUps(server.port)
        const free = yield* killed(server.port)
        return [wake, poll, free] as const
      })
    )
  )
  await server.end()
  const times = table({
    columns: ["", "measured"],
    rows: [
      ["from a release to the next worker's permit, median", `${wake.toFixed(1)} ms`],
      ["the same of redis-semaphore", `${poll.toFixed(1)} ms`],
      ["a killed worker's permit is free, after ttl", `${free.toFixed(0)} ms`],
      ...(await engineRows()),
      ...(await leaseRows())
    ]
  })
  console.log(`\n${shares}\n\n${times}`)
}
