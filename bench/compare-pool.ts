/**
 * This library next to `Pool` of Effect, side by side in one run: `npm run bench:pool`.
 *
 * The contenders take turns, round after round. Figures are medians over the rounds, and so are ratios: each compares
 * what was measured in the same round. The echo server is a process of its own on the loopback interface.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { Socket } from "@effect/platform"
import { NodeSocket } from "@effect/platform-node"
import { Deferred, Duration, Effect, Fiber, FiberSet, Layer, Mailbox, Pool, type Scope } from "effect"
import { ResourcePool, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import { WebSocket, WebSocketServer } from "ws"

const rounds = 15
const connections = 16
const message = "x".repeat(64)

// ----------------------------------------------------------------------------
// the echo server
// ----------------------------------------------------------------------------

const serve = (): void => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
  server.on("connection", (socket) => {
    socket.on("error", () => {})
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  server.on("listening", () => process.send?.((server.address() as AddressInfo).port))
  process.on("disconnect", () => process.exit())
}

const echoServer: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async (): Promise<readonly [ChildProcess, number]> => {
    const child = fork(fileURLToPath(import.meta.url), ["--serve"])
    const [port] = await once(child, "message")
    return [child, port]
  }),
  ([child]) => Effect.sync(() => child.disconnect())
).pipe(Effect.map(([, port]) => `ws://127.0.0.1:${port}`))

// ----------------------------------------------------------------------------
// rounds
// ----------------------------------------------------------------------------

interface Contender {
  readonly name: string
  /** Does so many turns of whatever is measured. */
  readonly run: (turns: number) => Effect.Effect<unknown, unknown>
}

const time = (effect: Effect.Effect<unknown, unknown>): Effect.Effect<number, unknown> =>
  Effect.map(Effect.timed(effect), ([duration]) => Duration.toMillis(duration))

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

/** Turns that take some `millis`, found by doubling; it warms up as well. */
const calibrate = (contender: Contender, millis: number) =>
  Effect.gen(function* () {
    let turns = connections
    while (true) {
      const took = yield* time(contender.run(turns))
      if (took >= millis / 4) return Math.max(connections, Math.round((turns * millis) / took))
      turns *= 2
    }
  })

interface Measured {
  /** Nanoseconds for one turn. */
  readonly nanos: number
  /** Microseconds of this process's CPU for one turn. */
  readonly cpu: number
  /** How long one turn of the reference takes, by how long one of this takes. */
  readonly speed: number
}

/** Measures contenders next to each other; the others are compared to the `reference`th. */
const compare = (contenders: ReadonlyArray<Contender>, reference: number, millis: number) =>
  Effect.gen(function* () {
    const turns = yield* Effect.forEach(contenders, (contender) => calibrate(contender, millis))
    const measured = contenders.map(() => ({ nanos: [] as Array<number>, cpu: [] as Array<number> }))
    for (let round = 0; round < rounds; round++) {
      for (const [index, contender] of contenders.entries()) {
        const before = process.cpuUsage()
        const took = yield* time(contender.run(turns[index]!))
        const { system, user } = process.cpuUsage(before)
        measured[index]!.nanos.push((took * 1e6) / turns[index]!)
        measured[index]!.cpu.push((user + system) / turns[index]!)
      }
    }
    const base = measured[reference]!.nanos
    return measured.map(
      ({ cpu, nanos }): Measured => ({
        nanos: median(nanos),
        cpu: median(cpu),
        speed: median(nanos.map((one, round) => base[round]! / one))
      })
    )
  })

const print = (rows: ReadonlyArray<ReadonlyArray<string>>): void => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  for (const [index, row] of rows.entries()) {
    const cells = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
    console.log(`| ${cells.join(" | ")} |`)
    if (index === 0)
      console.log(`|${widths.map((width, column) => "-".repeat(width + 1) + (column === 0 ? "-" : ":")).join("|")}|`)
  }
  console.log()
}

const number = (n: number): string => Math.round(n).toLocaleString("en-US")

// ----------------------------------------------------------------------------
// to take from a warm pool and to give back
// ----------------------------------------------------------------------------

const turns = (n: number, effect: Effect.Effect<unknown, unknown>) => Effect.repeatN(effect, n - 1)

const leases = (url: string) =>
  Effect.gen(function* () {
    const ours = yield* WebSocketPool.WebSocketPool
    yield* ours.ready
    const core = yield* ResourcePool.make({ acquire: Effect.succeed({}), size: connections })
    const theirs = yield* Pool.make({ acquire: Effect.succeed({}), size: connections })
    const use = ours.use(() => Effect.void)
    const get = Effect.scoped(ours.get)
    const coreUse = ResourcePool.use(core, () => Effect.void)
    const coreGet = Effect.scoped(ResourcePool.get(core))
    const poolGet = Effect.scoped(Pool.get(theirs))
    const contenders: ReadonlyArray<Contender> = [
      { name: "one turn of the loop, which all figures include", run: (n) => turns(n, Effect.void) },
      { name: "`WebSocketPool.use`", run: (n) => turns(n, use) },
      { name: "`WebSocketPool.get`, scoped", run: (n) => turns(n, get) },
      { name: "`ResourcePool.use`", run: (n) => turns(n, coreUse) },
      { name: "`ResourcePool.get`, scoped", run: (n) => turns(n, coreGet) },
      { name: "Effect's `Pool.get`, scoped", run: (n) => turns(n, poolGet) }
    ]
    const measured = yield* compare(contenders, contenders.length - 1, 150)
    print([
      ["lease and give back, warm pool", "ns", "Effect's `Pool` = 1"],
      ...contenders.map(({ name }, index) => [
        name,
        number(measured[index]!.nanos),
        (1 / measured[index]!.speed).toFixed(2)
      ])
    ])
  }).pipe(
    Effect.scoped,
    Effect.provide(NodeWebSocketPool.layer({ url, minConnections: connections, maxConnections: connections }))
  )

// ----------------------------------------------------------------------------
// echo
// ----------------------------------------------------------------------------

/** So many turns, over as many fibers as there are connections. */
const spread = (n: number, turn: Effect.Effect<unknown, unknown>) =>
  Effect.forEach(Array.from({ length: connections }), () => turns(Math.max(1, Math.round(n / connections)), turn), {
    concurrency: "unbounded",
    discard: true
  })

const open = (url: string): Promise<WebSocket> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false })
    socket.once("open", () => resolve(socket))
    socket.once("error", reject)
  })

/** The next echo by callback: as fast as `ws` goes. */
const bare = (sockets: ReadonlyArray<WebSocket>): Contender => ({
  name: "bare `ws`, no pool",
  run: (n) =>
    Effect.async<void>((resume) => {
      let missing = sockets.length
      for (const socket of sockets) {
        let left = Math.max(1, Math.round(n / sockets.length))
        const onMessage = (data: WebSocket.RawData) => {
          data.toString()
          left -= 1
          if (left > 0) {
            socket.send(message)
            return
          }
          socket.off("message", onMessage)
          missing -= 1
          if (missing === 0) resume(Effect.void)
        }
        socket.on("message", onMessage)
        socket.send(message)
      }
    })
})

const openEach = (url: string): Contender => ({
  name: "bare `ws`, a connection per request",
  run: (n) =>
    spread(
      n,
      Effect.promise(async () => {
        const socket = await open(url)
        socket.send(message)
        await once(socket, "message")
        socket.close()
        await once(socket, "close")
      })
    )
})

/** What one writes to put a platform `Socket` into Effect's `Pool`. */
const pooledSocket = (url: string) =>
  Effect.gen(function* () {
    const socket = yield* Socket.makeWebSocket(url)
    const inbox = yield* Mailbox.make<string | Uint8Array>()
    const isOpen = yield* Deferred.make<void>()
    const fibers = yield* FiberSet.make<void, Socket.SocketError>()
    yield* FiberSet.run(
      fibers,
      socket.runRaw((data) => void inbox.unsafeOffer(data), { onOpen: Deferred.succeed(isOpen, undefined) })
    )
    yield* Deferred.await(isOpen)
    return { write: yield* socket.writer, receive: inbox.take }
  })

const echoes = (url: string) =>
  Effect.gen(function* () {
    const sockets = yield* Effect.acquireRelease(
      Effect.promise(() => Promise.all(Array.from({ length: connections }, () => open(url)))),
      (sockets) =>
        Effect.sync(() => {
          for (const socket of sockets) socket.terminate()
        })
    )
    const ours = yield* WebSocketPool.WebSocketPool
    yield* ours.ready
    const theirs = yield* Pool.make({ acquire: pooledSocket(url), size: connections })
    const use = ours.use((connection) => Effect.zipRight(connection.send(message), connection.receive))
    const get = Effect.scoped(
      Effect.flatMap(ours.get, (connection) => Effect.zipRight(connection.send(message), connection.receive))
    )
    const poolGet = Effect.scoped(
      Effect.flatMap(Pool.get(theirs), (item) => Effect.zipRight(item.write(message), item.receive))
    )
    const contenders: ReadonlyArray<Contender> = [
      bare(sockets),
      { name: "`WebSocketPool.use`", run: (n) => spread(n, use) },
      { name: "`WebSocketPool.get`, scoped", run: (n) => spread(n, get) },
      { name: "Effect's `Pool.get` and platform's `Socket`", run: (n) => spread(n, poolGet) },
      openEach(url)
    ]
    const measured = yield* compare(contenders, 0, 250)
    print([
      [`echo of ${message.length} bytes, ${connections} connections`, "requests/s", "bare `ws` = 1", "client CPU, µs"],
      ...contenders.map(({ name }, index) => {
        const { cpu, nanos, speed } = measured[index]!
        return [name, number(1e9 / nanos), speed.toFixed(2), cpu.toFixed(1)]
      })
    ])
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.merge(
        NodeWebSocketPool.layer({ url, minConnections: connections, maxConnections: connections }),
        NodeSocket.layerWebSocketConstructor
      )
    )
  )

// ----------------------------------------------------------------------------
// behaviour
// ----------------------------------------------------------------------------

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

const oursAsPool: AnyPool = {
  makeWithTTL: (options) => Effect.map(ResourcePool.makeWithTTL(options), ResourcePool.get)
}
const theirsAsPool: AnyPool = { makeWithTTL: (options) => Effect.map(Pool.makeWithTTL(options), Pool.get) }

const millisOf = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.map(time(Effect.exit(effect)), (millis) => `${number(millis)} ms`)

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

const behaviour = Effect.gen(function* () {
  const results = yield* Effect.forEach(scenarios, ([name, run]) =>
    Effect.map(Effect.all([run(oursAsPool), run(theirsAsPool)], { concurrency: 2 }), (both) => [name, ...both])
  )
  print([["behaviour", "`ResourcePool`", "Effect's `Pool`"], ...results])
})

// ----------------------------------------------------------------------------

if (process.argv.includes("--serve")) serve()
else {
  const all = Effect.gen(function* () {
    const url = yield* echoServer
    yield* leases(url)
    yield* echoes(url)
    yield* behaviour
  }).pipe(Effect.scoped)
  await Effect.runPromise(all)
}
