/** Effect RPC over a pool, next to Effect's own protocol over one socket. */
import { Api, oneSocket, serialization } from "#bench/rpc"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as RpcClient from "#effect/rpc/RpcClient"
import * as Stream from "#effect/Stream"
import { WebSocketPool } from "../../src/index.js"
import { NodeWebSocketPool } from "../../src/node.js"
import * as WebSocketPoolRpc from "../../src/WebSocketPoolRpc.js"
import {
  type Case,
  type Contender,
  child,
  fibers,
  type Measured,
  measure,
  median,
  number,
  of,
  perSecond,
  type Report,
  type Settings,
  speed,
  type Table,
  type Target
} from "../harness.js"

const workers = 4
const callers = 16
const millis = 20

/** So many processes, which do so many calls at once. */
const servers = (count: number, calls: number) =>
  Effect.map(child("./rpcServer.js", [String(count), String(calls)]), ([, port]) => `ws://127.0.0.1:${port}/rpc`)

/** Over a pool of so many connections, all of which are open. */
const pooled = (url: string, connections: number) => {
  const options = { concurrency: (2 * callers) / connections, minConnections: connections, maxConnections: connections }
  const limits = { minConnections: connections, maxConnections: connections }
  const Pool = NodeWebSocketPool.layer({ url, ...limits })
  const Ready = Layer.effectDiscard(Effect.flatMap(WebSocketPool.WebSocketPool, ({ ready }) => ready))
  return WebSocketPoolRpc.layerProtocol(options).pipe(
    Layer.provide(serialization),
    Layer.provide(Ready),
    Layer.provide(Pool)
  )
}

const clientOver = <E>(protocol: Layer.Layer<RpcClient.Protocol, E>) =>
  Effect.flatMap(Layer.build(protocol), (context) => Effect.provide(RpcClient.make(Api), context))

type Client = ReturnType<typeof clientOver> extends Effect.Effect<infer Client, unknown, unknown> ? Client : never

const own = "Effect's protocol, one socket"
const ours = `\`WebSocketPoolRpc\`, ${workers} connections`

const measureCalls = (settings: Settings) =>
  Effect.gen(function* () {
    const url = yield* servers(workers, 1)
    const contender = (name: string, label: string, { Wait }: Client) => ({
      name,
      label,
      isOurs: name === "pool",
      turns: 10 * callers,
      workers: callers,
      run: (turns: number) => fibers(turns, callers, Wait({ millis }))
    })
    return yield* measure(
      [
        contender("own", own, yield* clientOver(oneSocket(url))),
        contender("pool", ours, yield* clientOver(pooled(url, workers)))
      ],
      settings,
      250
    )
  }).pipe(Effect.scoped)

/** The median of what calls take, one after the other. */
const latency = (name: string, label: string, call: Effect.Effect<unknown, unknown>): Contender => ({
  name,
  label,
  isOurs: name.startsWith("pool"),
  turns: 100,
  sample: async (turns) => {
    const took: Array<number> = []
    const timed = Effect.suspend(() => {
      const start = process.hrtime.bigint()
      return Effect.map(call, () => took.push(Number(process.hrtime.bigint() - start)))
    })
    const cpu = process.cpuUsage()
    await fibers(turns, 1, timed)
    const { system, user } = process.cpuUsage(cpu)
    return { nanos: median(took) * turns, cpu: system + user }
  }
})

/** Reads an item, rests for 5 ms, reads the next. */
const slowStream = ({ Count }: Client) =>
  Effect.forkScoped(Stream.runForEach(Count({ to: 1_000_000_000 }), () => Effect.sleep(5)))

const measureBeside = (settings: Settings) =>
  Effect.gen(function* () {
    const url = yield* servers(1, 1000)
    const call = { millis: 0 }
    const alone = yield* clientOver(pooled(url, 1))
    const beside = yield* clientOver(pooled(url, 1))
    const ownBeside = yield* clientOver(oneSocket(url))
    yield* slowStream(beside)
    yield* slowStream(ownBeside)
    return yield* measure(
      [
        latency("pool-alone", "`WebSocketPoolRpc`, one connection, no stream", alone.Wait(call)),
        latency("pool", "the same beside a slow stream", beside.Wait(call)),
        latency("own", "Effect's protocol beside a slow stream", ownBeside.Wait(call))
      ],
      settings,
      250
    )
  }).pipe(Effect.scoped)

const millisOf = ({ nanos }: Measured): number => median(nanos) / 1e6

const run = (settings: Settings) =>
  Effect.gen(function* () {
    const calls = yield* measureCalls(settings)
    const beside = yield* measureBeside(settings)
    const tables: ReadonlyArray<Table> = [
      {
        title: `${callers} callers, calls of ${millis} ms, ${workers} servers behind one address that do one call at a time each`,
        columns: ["", "calls/s", "one socket = 1"],
        rows: calls.map((one) => [one.label, number(perSecond(one), 1), speed(one, calls[0]!).toFixed(2)])
      },
      {
        title: "A call that takes no time, one after the other",
        columns: ["", "median"],
        rows: beside.map((one) => [one.label, `${millisOf(one).toFixed(2)} ms`])
      }
    ]
    const targets: ReadonlyArray<Target> = [
      {
        what: `${workers} servers that do one call at a time, \`WebSocketPoolRpc\`: calls/s`,
        measured: `${number(perSecond(of(calls, "pool")))}/s`,
        against: `${own}: ${number(perSecond(of(calls, "own")))}/s`,
        ratio: speed(of(calls, "pool"), of(calls, "own")),
        better: "more",
        least: 3.8,
        aim: 4.1
      },
      {
        what: "a call beside a slow stream on the same connection: median",
        measured: `${millisOf(of(beside, "pool")).toFixed(2)} ms`,
        against: `no stream: ${millisOf(of(beside, "pool-alone")).toFixed(2)} ms`,
        ratio: millisOf(of(beside, "pool")),
        better: "less",
        least: 3,
        aim: 1,
        unit: " ms"
      }
    ]
    return { name: "rpc", tables, targets, drawings: [], samples: [calls, beside] } satisfies Report
  })

export const rpc: Case = {
  name: "rpc",
  about: `calls of Effect RPC to ${workers} servers behind one address, and beside a slow stream`,
  run
}
