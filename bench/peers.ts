/** What asks a server and takes its echo: this library, what it stands on, and its peers, each as one would write it. */
import { once } from "node:events"
import genericPool from "generic-pool"
import * as tarn from "tarn"
import { WebSocket as UndiciWebSocket } from "undici"
import { WebSocket } from "ws"
import { pooledSocket, pooledSocketOfEffects, socketLabel } from "#bench/dialect"
import * as Effect from "#effect/Effect"
import { identity } from "#effect/Function"
import * as Pool from "#effect/Pool"
import type * as Scope from "#effect/Scope"
import { type WebSocketConnection, WebSocketPool } from "../src/index.js"
import { NodeWebSocketTransport } from "../src/node.js"
import { fibers, promises, turns } from "./harness.js"
import { Line } from "./line.js"

export interface Setting {
  readonly url: string
  readonly connections: number
  readonly message: string | Buffer
}

/** Asks so often, over so many fibers, or loops of promises. */
export type Ask = (times: number, workers: number) => Promise<unknown>

export type Peer = (setting: Setting) => Effect.Effect<Ask, unknown, Scope.Scope>

// This library

export const makePool = (options: WebSocketPool.Options) =>
  Effect.tap(WebSocketPool.make(options), (pool) => pool.ready).pipe(Effect.provide(NodeWebSocketTransport.layer()))

const warm = ({ connections, url }: Setting) =>
  makePool({ url, minConnections: connections, maxConnections: connections })

export const exchange = (message: string | Buffer) => (connection: WebSocketConnection.WebSocketConnection) =>
  Effect.andThen(connection.send(message), connection.receive)

export const use: Peer = (setting) =>
  Effect.map(warm(setting), (pool) => {
    const ask = pool.use(exchange(setting.message))
    return (times, workers) => fibers(times, workers, ask)
  })

export const ask: Peer = (setting) =>
  Effect.map(warm(setting), (pool) => {
    const ask = pool.ask(setting.message)
    return (times, workers) => fibers(times, workers, ask)
  })

export const get: Peer = (setting) =>
  Effect.map(warm(setting), (pool) => {
    const ask = Effect.scoped(Effect.flatMap(pool.get, exchange(setting.message)))
    return (times, workers) => fibers(times, workers, ask)
  })

// `ws`

export const open = (url: string): Promise<WebSocket> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 16 * 1024 * 1024 })
    socket.once("open", () => {
      socket.off("error", reject)
      socket.on("error", () => {})
      resolve(socket)
    })
    socket.once("error", reject)
  })

/** Sockets that are ended with the scope. */
export const sockets = ({ connections, url }: Setting) =>
  Effect.acquireRelease(
    Effect.promise(() => Promise.all(Array.from({ length: connections }, () => open(url)))),
    (sockets) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.terminate()
      })
  )

/** What a message is to its reader: text as a string. */
const read = (data: WebSocket.RawData, isBinary: boolean): unknown => (isBinary ? data : data.toString())

/** By callbacks, each socket for itself: as fast as `ws` goes. There are as many loops as sockets. */
export const bare: Peer = (setting) =>
  Effect.map(sockets(setting), (sockets) => {
    const { message } = setting
    return (times) =>
      new Promise<void>((resolve) => {
        let missing = sockets.length
        for (const socket of sockets) {
          let left = Math.round(times / sockets.length)
          const onMessage = (data: WebSocket.RawData, isBinary: boolean) => {
            read(data, isBinary)
            left -= 1
            if (left > 0) {
              socket.send(message)
              return
            }
            socket.off("message", onMessage)
            missing -= 1
            if (missing === 0) resolve()
          }
          socket.on("message", onMessage)
          socket.send(message)
        }
      })
  })

/** For each socket an effect that asks. */
const questions = (setting: Setting) =>
  Effect.map(sockets(setting), (sockets) =>
    sockets.map((socket) => {
      let answer = (_reply: Effect.Effect<unknown>) => {}
      socket.on("message", (data, isBinary) => answer(Effect.succeed(read(data, isBinary))))
      return Effect.callback<unknown>((resume) => {
        answer = resume
        socket.send(setting.message)
      })
    })
  )

/** A fiber per socket that waits for each echo: what it costs at the least to answer a fiber. */
export const fiberPerSocket: Peer = (setting) =>
  Effect.map(
    questions(setting),
    (asks) => (times) =>
      Effect.runPromise(
        Effect.forEach(asks, (ask) => turns(Math.round(times / asks.length), ask), {
          concurrency: "unbounded",
          discard: true
        })
      )
  )

/** Fibers that share the sockets: what it costs at the least to lease one to a fiber. */
const inLine =
  (turn: (line: Line<Effect.Effect<unknown>>) => Effect.Effect<unknown>): Peer =>
  (setting) =>
    Effect.map(questions(setting), (asks) => {
      const ask = turn(new Line(asks))
      return (times, workers) => fibers(times, workers, ask)
    })

/** Messages stand in line, and fibers wait once each, for the answer. */
const messagesInLine: Peer = (setting) =>
  Effect.map(sockets(setting), (sockets) => {
    type Resume = (reply: Effect.Effect<unknown>) => void
    const waiting: Array<Resume> = []
    const free = sockets.map((socket) => {
      let answer: Resume = () => {}
      const send = (resume: Resume) => {
        answer = resume
        socket.send(setting.message)
      }
      socket.on("message", (data, isBinary) => {
        const answered = answer
        const next = waiting.shift()
        if (next === undefined) free.push(send)
        else send(next)
        answered(Effect.succeed(read(data, isBinary)))
      })
      return send
    })
    const ask = Effect.callback<unknown>((resume) => {
      const send = free.pop()
      if (send === undefined) waiting.push(resume)
      else send(resume)
    })
    return (times, workers) => fibers(times, workers, ask)
  })

/** The same without keeping a connection. */
export const connectionPerRequest: Peer = ({ message, url }) =>
  Effect.succeed((times, workers) =>
    promises(times, workers, async () => {
      const socket = await open(url)
      socket.send(message)
      const [data, isBinary] = await once(socket, "message")
      socket.close()
      await once(socket, "close")
      return read(data, isBinary)
    })
  )

/** A socket of `ws` that answers by a promise. One listener serves all requests. */
class Client {
  private answer: ((reply: unknown) => void) | undefined

  constructor(readonly socket: WebSocket) {
    socket.on("message", (data, isBinary) => this.answer?.(read(data, isBinary)))
  }

  ask(message: string | Buffer): Promise<unknown> {
    return new Promise((resolve) => {
      this.answer = resolve
      this.socket.send(message)
    })
  }
}

export const underGenericPool: Peer = ({ connections, message, url }) =>
  Effect.gen(function* () {
    const pool = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const pool = genericPool.createPool(
          {
            create: async () => new Client(await open(url)),
            destroy: async (client) => client.socket.terminate()
          },
          { min: connections, max: connections }
        )
        await pool.ready()
        return pool
      }),
      (pool) => Effect.promise(() => pool.drain().then(() => pool.clear()))
    )
    return (times, workers) =>
      promises(times, workers, async () => {
        const client = await pool.acquire()
        try {
          return await client.ask(message)
        } finally {
          pool.release(client)
        }
      })
  })

export const underTarn: Peer = ({ connections, message, url }) =>
  Effect.gen(function* () {
    const pool = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new tarn.Pool({
            create: async () => new Client(await open(url)),
            destroy: (client: Client) => client.socket.terminate(),
            min: connections,
            max: connections
          })
      ),
      (pool) => Effect.promise(() => pool.destroy())
    )
    return (times, workers) =>
      promises(times, workers, async () => {
        const client = await pool.acquire().promise
        try {
          return await client.ask(message)
        } finally {
          pool.release(client)
        }
      })
  })

// undici

export const openUndici = (url: string): Promise<UndiciWebSocket> =>
  new Promise((resolve, reject) => {
    const socket = new UndiciWebSocket(url)
    socket.binaryType = "arraybuffer"
    socket.onopen = () => resolve(socket)
    socket.onerror = reject
  })

export const undici: Peer = ({ connections, message, url }) =>
  Effect.gen(function* () {
    const sockets = yield* Effect.acquireRelease(
      Effect.promise(() => Promise.all(Array.from({ length: connections }, () => openUndici(url)))),
      (sockets) =>
        Effect.sync(() => {
          for (const socket of sockets) socket.close()
        })
    )
    return (times) =>
      new Promise<void>((resolve) => {
        let missing = sockets.length
        for (const socket of sockets) {
          let left = Math.round(times / sockets.length)
          socket.onmessage = () => {
            left -= 1
            if (left > 0) {
              socket.send(message)
              return
            }
            socket.onmessage = null
            missing -= 1
            if (missing === 0) resolve()
          }
          socket.send(message)
        }
      })
  })

// Effect

const effectPoolOf =
  (pooled: typeof pooledSocket | typeof pooledSocketOfEffects): Peer =>
  ({ connections, message, url }) =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ acquire: pooled(url), size: connections })
      // All of them are open before anything is measured.
      yield* Effect.scoped(Effect.replicateEffect(Pool.get(pool), connections))
      const ask = Effect.scoped(
        Effect.flatMap(Pool.get(pool), (item) => Effect.andThen(item.write(message), item.receive))
      )
      return (times, workers) => fibers(times, workers, ask)
    })

/** All of them, by name. */
export const peers = {
  bare: { label: "bare `ws`, no pool", peer: bare, isOurs: false },
  fiber: { label: "bare `ws`, a fiber per socket, no pool", peer: fiberPerSocket, isOurs: false },
  "message-line": { label: "bare `ws`, messages in line, no pool", peer: messagesInLine, isOurs: false },
  line: { label: "bare `ws`, fibers in line, no pool", peer: inLine((line) => line.use(identity)), isOurs: false },
  "safe-line": {
    label: "fibers in line, given back whatever happens",
    peer: inLine((line) => line.useSafely(identity)),
    isOurs: false
  },
  "scoped-line": {
    label: "fibers in line, each turn in an empty scope",
    peer: inLine((line) => Effect.scoped(line.use(identity))),
    isOurs: false
  },
  ask: { label: "`WebSocketPool.ask`", peer: ask, isOurs: true },
  use: { label: "`WebSocketPool.use`", peer: use, isOurs: true },
  get: { label: "`WebSocketPool.get`, scoped", peer: get, isOurs: true },
  undici: { label: "undici's `WebSocket`, no pool", peer: undici, isOurs: false },
  tarn: { label: "`ws` under tarn", peer: underTarn, isOurs: false },
  "generic-pool": { label: "`ws` under generic-pool", peer: underGenericPool, isOurs: false },
  "effect-pool": { label: socketLabel, peer: effectPoolOf(pooledSocket), isOurs: false },
  "effect-pool-of-effects": {
    label: "the same, by a queue of effects",
    peer: effectPoolOf(pooledSocketOfEffects),
    isOurs: false
  },
  "connection-per-request": { label: "`ws`, a connection per request", peer: connectionPerRequest, isOurs: false }
} as const satisfies Record<string, { readonly label: string; readonly peer: Peer; readonly isOurs: boolean }>

export type PeerName = keyof typeof peers
