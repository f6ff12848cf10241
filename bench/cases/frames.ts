/** What own frames save: the transport with them and without, by callbacks and under a pool, next to bare `ws`. */
import { Effect, type Scope } from "effect"
import { type WebSocketConnection, WebSocketPool } from "../../src/index.js"
import { NodeWebSocketTransport } from "../../src/node.js"
import type { Message, TransportSocket } from "../../src/WebSocketTransport.js"
import {
  type Case,
  type Contender,
  comparison,
  fibers,
  type Measured,
  measure,
  median,
  number,
  of,
  perSecond,
  type Report,
  ratio,
  type Settings,
  speed,
  type Target
} from "../harness.js"
import { bare, exchange, type Peer, type Setting, sockets } from "../peers.js"

/** A socket of the transport, and who hears its messages. */
interface Heard {
  readonly socket: TransportSocket
  onMessage: (message: Message) => void
}

const opened = (url: string, ownFrames: boolean): Effect.Effect<Heard, unknown, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const heard: { socket?: TransportSocket; onMessage: Heard["onMessage"] } = { onMessage: () => {} }
      yield* NodeWebSocketTransport.make({ ownFrames }).connect(
        { url, protocols: [], headers: {}, maxPayload: 16 * 1024 * 1024, closeTimeout: 1000 },
        {
          onOpen: (socket) => {
            heard.socket = socket
          },
          onMessage: (message) => heard.onMessage(message),
          onPong: () => {},
          onFlush: () => {},
          onEnd: () => {},
          onGone: () => {}
        }
      )
      return heard as Heard
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/** As the bare peer does it: by callbacks, each socket for itself. */
const byCallbacks =
  (ownFrames: boolean): Peer =>
  ({ connections, message, url }) =>
    Effect.map(
      Effect.all(
        Array.from({ length: connections }, () => opened(url, ownFrames)),
        { concurrency: 16 }
      ),
      (all) => (times) =>
        new Promise<void>((resolve) => {
          let missing = all.length
          for (const heard of all) {
            let left = Math.round(times / all.length)
            heard.onMessage = () => {
              left -= 1
              if (left > 0) heard.socket.send(message)
              else if (left === 0 && --missing === 0) resolve()
            }
            heard.socket.send(message)
          }
        })
    )

const poolOf = ({ connections, url }: Setting, ownFrames: boolean) =>
  Effect.tap(
    WebSocketPool.make({ url, minConnections: connections, maxConnections: connections }),
    (pool) => pool.ready
  ).pipe(Effect.provide(NodeWebSocketTransport.layer({ ownFrames })))

const byUse =
  (ownFrames: boolean): Peer =>
  (setting) =>
    Effect.map(poolOf(setting, ownFrames), (pool) => {
      const ask = pool.use(exchange(setting.message))
      return (times, workers) => fibers(times, workers, ask)
    })

const peers: ReadonlyArray<readonly [name: string, label: string, peer: Peer, isOurs: boolean]> = [
  ["bare", "bare `ws`", bare, false],
  ["own", "own frames, callbacks, no pool", byCallbacks(true), true],
  ["ws", "the same, frames of `ws`", byCallbacks(false), true],
  ["use-own", "own frames, `use`", byUse(true), true],
  ["use-ws", "the same, frames of `ws`", byUse(false), true]
]

/** Takes a burst of so many messages. */
const burstBy = (name: string, label: string, ownFrames: boolean, url: string) =>
  Effect.map(poolOf({ connections: 1, message: "", url }, ownFrames), (pool): ReadonlyArray<Contender> => {
    const take = (all: (connection: WebSocketConnection.WebSocketConnection) => Effect.Effect<number, unknown>) => {
      return (count: number) =>
        Effect.runPromise(
          pool.use((connection) =>
            Effect.suspend(() => {
              let left = count
              const takeAll = Effect.whileLoop({
                while: () => left > 0,
                body: () => all(connection),
                step: (n) => {
                  left -= n
                }
              })
              return Effect.zipRight(connection.send(String(count)), takeAll)
            })
          )
        )
    }
    return [
      {
        name: `chunk-${name}`,
        label: `${label}, \`receiveChunk\``,
        isOurs: true,
        workers: 1,
        run: take((connection) => Effect.map(connection.receiveChunk, (chunk) => chunk.length))
      },
      {
        name: `receive-${name}`,
        label: `${label}, \`receive\``,
        isOurs: true,
        workers: 1,
        run: take((connection) => Effect.as(connection.receive, 1))
      }
    ]
  })

const burst = (url: string) =>
  Effect.gen(function* () {
    const [socket] = yield* sockets({ url, connections: 1, message: "" })
    let left = 0
    let done = () => {}
    socket!.on("message", (data, isBinary) => {
      if (!isBinary) data.toString()
      if (--left === 0) done()
    })
    const bareBurst: Contender = {
      name: "bare",
      label: "bare `ws`, a `message` listener",
      workers: 1,
      run: (count) =>
        new Promise<void>((resolve) => {
          left = count
          done = resolve
          socket!.send(String(count))
        })
    }
    return [
      bareBurst,
      ...(yield* burstBy("own", "own frames", true, url)),
      ...(yield* burstBy("ws", "frames of `ws`", false, url))
    ]
  })

const cases = [
  { title: "Echo of 64 bytes, 16 connections", connections: 16, message: "x".repeat(64), turns: undefined },
  { title: "Echo of 16 KiB, binary, 16 connections", connections: 16, message: Buffer.alloc(16_384, 1), turns: 1600 },
  { title: "Echo of 1 MiB, binary, 4 connections", connections: 4, message: Buffer.alloc(1_048_576, 1), turns: 64 }
] as const

const cpu = (one: Measured): string => `${median(one.cpu).toFixed(1)} µs`

/** The judge is the CPU: the server is as busy as the client, so requests per second say little. */
const targetOf = (title: string, measured: ReadonlyArray<Measured>, least: number, aim: number): Target => ({
  what: `${title}, own frames by callbacks: client CPU`,
  measured: cpu(of(measured, "own")),
  against: `bare \`ws\`: ${cpu(of(measured, "bare"))}`,
  ratio: ratio(of(measured, "own").cpu, of(measured, "bare").cpu),
  better: "less",
  least,
  aim
})

const run = (settings: Settings) =>
  Effect.gen(function* () {
    const tables: Array<Report["tables"][number]> = []
    const targets: Array<Target> = []
    const samples: Array<ReadonlyArray<Measured>> = []
    for (const { connections, message, title, turns } of cases) {
      const setting: Setting = { url: `${settings.url}/reflect`, connections, message }
      const measured = yield* Effect.scoped(
        Effect.flatMap(
          Effect.forEach(peers, ([name, label, peer, isOurs]) =>
            Effect.map(
              peer(setting),
              (ask): Contender => ({
                name,
                label,
                isOurs,
                workers: connections,
                run: (times) => ask(times, connections),
                ...(turns === undefined ? {} : { turns })
              })
            )
          ),
          (contenders) => measure(contenders, settings, 250)
        )
      )
      tables.push(comparison(title, "requests/s", "bare `ws` = 1", measured))
      samples.push(measured)
      targets.push(targetOf(title, measured, message.length > 64 ? 0.85 : 1, message.length > 64 ? 0.55 : 0.9))
    }
    const measured = yield* Effect.scoped(
      Effect.flatMap(burst(`${settings.url}/burst`), (contenders) => measure(contenders, settings, 250))
    )
    tables.push(comparison("A burst of messages of 64 bytes", "messages/s", "bare `ws` = 1", measured, 2))
    samples.push(measured)
    targets.push({
      what: "a burst, own frames, `receiveChunk`: messages/s",
      measured: `${number(perSecond(of(measured, "chunk-own")))}/s`,
      against: `bare \`ws\`: ${number(perSecond(of(measured, "bare")))}/s`,
      ratio: speed(of(measured, "chunk-own"), of(measured, "bare")),
      better: "more",
      least: 2.5,
      aim: 3.5
    })
    return { name: "frames", tables, targets, drawings: [], samples } satisfies Report
  })

export const frames: Case = {
  name: "frames",
  about: "own frames and frames of `ws`, by callbacks and under a pool, next to bare `ws`",
  run
}
