/**
 * Requests that have numbers, many under way on each connection: by this library, and by hand. Their server answers `{ id, params }` with
 * `{ id, result: params }`.
 */
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Schema from "#effect/Schema"
import { JsonRpc, Multiplexer, WebSocketPool } from "../src/index.js"
import { fibers } from "./harness.js"
import { makePool, type open, type Peer, type Setting, sockets } from "./peers.js"

/** How many are under way on each connection. */
export const depth = 64

interface Answer {
  readonly id: number
  readonly result: string
}

const write = (id: number, params: string): string => JSON.stringify({ jsonrpc: "2.0", id, method: "echo", params })

// By hand

/** A socket of `ws`, and those who wait for its answers. */
class Numbered {
  private lastId = 0
  private readonly waiting = new Map<number, (answer: Effect.Effect<string>) => void>()

  constructor(private readonly socket: Awaited<ReturnType<typeof open>>) {
    socket.on("message", (data) => {
      const { id, result }: Answer = JSON.parse(data.toString())
      const resume = this.waiting.get(id)
      this.waiting.delete(id)
      resume?.(Effect.succeed(result))
    })
  }

  /** Sends a request, and says which it is. */
  begin(params: string, resume: (answer: Effect.Effect<string>) => void): number {
    this.lastId += 1
    this.waiting.set(this.lastId, resume)
    this.socket.send(write(this.lastId, params))
    return this.lastId
  }

  forget(id: number): void {
    this.waiting.delete(id)
  }
}

/** The sockets take turns. */
const byHandOf =
  (canBeInterrupted: boolean): Peer =>
  (setting) =>
    Effect.map(sockets(setting), (sockets) => {
      const all = sockets.map((socket) => new Numbered(socket))
      const params = String(setting.message)
      let next = 0
      const ask = Effect.callback<string>((resume) => {
        const one = all[next]!
        next = (next + 1) % all.length
        const id = one.begin(params, resume)
        return canBeInterrupted ? Effect.sync(() => one.forget(id)) : undefined
      })
      return (times, workers) => fibers(times, workers, ask)
    })

export const byHand: Peer = byHandOf(false)
export const byHandInterruptible: Peer = byHandOf(true)

/** One request at a time on each socket. */
export const oneByOne: Peer = (setting) =>
  Effect.map(sockets(setting), (sockets) => {
    const params = String(setting.message)
    return (times) =>
      new Promise<void>((resolve) => {
        let missing = sockets.length
        for (const socket of sockets) {
          let left = Math.round(times / sockets.length)
          let id = 0
          const ask = () => {
            id += 1
            socket.send(write(id, params))
          }
          const onMessage = (data: { toString(): string }) => {
            JSON.parse(data.toString())
            left -= 1
            if (left > 0) {
              ask()
              return
            }
            socket.off("message", onMessage)
            missing -= 1
            if (missing === 0) resolve()
          }
          socket.on("message", onMessage)
          ask()
        }
      })
  })

// This library

const warm = ({ connections, url }: Setting) =>
  makePool({ url, minConnections: connections, maxConnections: connections })

/** All connections are leased, and half of each one's places are taken when `depth` requests are under way on it. */
const spread = ({ connections }: Setting) => ({
  concurrency: 2 * depth,
  minConnections: connections,
  maxConnections: connections
})

const codec = (): Multiplexer.Codec<string, string> => ({
  encode: write,
  decode: (message) => {
    const { id, result }: Answer = JSON.parse(String(message))
    return [{ _tag: "End", id, exit: Exit.succeed(result) }]
  }
})

export const multiplexer: Peer = (setting) =>
  Effect.gen(function* () {
    const pool = yield* warm(setting)
    const { request } = yield* Effect.provideService(
      Multiplexer.make({ codec, ...spread(setting) }),
      WebSocketPool.WebSocketPool,
      pool
    )
    const ask = request(String(setting.message))
    return (times, workers) => fibers(times, workers, ask)
  })

export const jsonRpc: Peer = (setting) =>
  Effect.gen(function* () {
    const pool = yield* warm(setting)
    const { echo } = yield* Effect.provideService(
      JsonRpc.make({ echo: JsonRpc.method("echo", { params: Schema.String, result: Schema.String }) }, spread(setting)),
      WebSocketPool.WebSocketPool,
      pool
    )
    const ask = echo(String(setting.message))
    return (times, workers) => fibers(times, workers, ask)
  })

/** A lease of each connection, whose answers come in order: what has been answered is asked anew. No request has a fiber. */
export const inOrder: Peer = (setting) =>
  Effect.map(warm(setting), (pool) => {
    const message = write(1, String(setting.message))
    return (times) => {
      const all = Math.round(times / setting.connections)
      const pipelined = pool.use((connection) => {
        let left = all
        let unasked = all
        const send = Effect.suspend(() => connection.send(message))
        const ask = (count: number) => {
          let missing = Math.min(count, unasked)
          unasked -= missing
          return Effect.whileLoop({
            while: () => missing > 0,
            body: () => send,
            step: () => {
              missing -= 1
            }
          })
        }
        const step = Effect.flatMap(connection.receiveChunk, (chunk) => {
          for (const answer of chunk) JSON.parse(String(answer))
          left -= chunk.length
          return ask(chunk.length)
        })
        return Effect.andThen(ask(depth), Effect.whileLoop({ while: () => left > 0, body: () => step, step: () => {} }))
      })
      return Effect.runPromise(
        Effect.forEach(Array.from({ length: setting.connections }), () => pipelined, {
          concurrency: "unbounded",
          discard: true
        })
      )
    }
  })
