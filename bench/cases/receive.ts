import { Socket } from "@effect/platform"
import { NodeSocket } from "@effect/platform-node"
import { Deferred, Effect, Stream } from "effect"
import type { WebSocketConnection } from "../../src/index.js"
import {
  type Case,
  type Contender,
  comparison,
  type Measured,
  measure,
  number,
  of,
  perSecond,
  type Report,
  speed,
  type Table
} from "../harness.js"
import { makePool, openUndici, sockets } from "../peers.js"

type Connection = WebSocketConnection.WebSocketConnection

/** Takes so many messages. */
type Reader = (connection: Connection, count: number) => Effect.Effect<unknown, unknown>

const receive: Reader = (connection, count) =>
  Effect.suspend(() => {
    let left = count
    return Effect.whileLoop({
      while: () => left > 0,
      body: () => connection.receive,
      step: () => {
        left -= 1
      }
    })
  })

const receiveChunk: Reader = (connection, count) =>
  Effect.suspend(() => {
    let left = count
    return Effect.whileLoop({
      while: () => left > 0,
      body: () => connection.receiveChunk,
      step: (chunk) => {
        left -= chunk.length
      }
    })
  })

const messages: Reader = (connection, count) => Stream.runDrain(Stream.take(connection.messages, count))

const readers = { receive, messages, receiveChunk }

/** Calls `run` with what calls back once so many messages have been heard. */
const heard = (run: (count: number, done: () => void) => void) => (count: number) =>
  new Promise<void>((resolve) => run(count, resolve))

const bare = (url: string) =>
  Effect.map(sockets({ url, connections: 1, message: "" }), ([socket]): Contender => {
    let left = 0
    let done = () => {}
    socket!.on("message", (data, isBinary) => {
      if (!isBinary) data.toString()
      left -= 1
      if (left === 0) done()
    })
    return {
      name: "bare",
      label: "bare `ws`, a `message` listener",
      run: heard((count, resolve) => {
        left = count
        done = resolve
        socket!.send(String(count))
      })
    }
  })

const undici = (url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => openUndici(url)),
      (socket) => Effect.sync(() => socket.close())
    ),
    (socket): Contender => {
      let left = 0
      let done = () => {}
      socket.onmessage = () => {
        left -= 1
        if (left === 0) done()
      }
      return {
        name: "undici",
        label: "undici's `WebSocket`, `onmessage`",
        run: heard((count, resolve) => {
          left = count
          done = resolve
          socket.send(String(count))
        })
      }
    }
  )

const platformSocket = (url: string) =>
  Effect.gen(function* () {
    const socket = yield* Socket.makeWebSocket(url)
    const isOpen = yield* Deferred.make<void>()
    const write = yield* socket.writer
    let left = 0
    let done = () => {}
    const onMessage = () => {
      left -= 1
      if (left === 0) done()
    }
    yield* Effect.forkScoped(socket.runRaw(onMessage, { onOpen: Deferred.succeed(isOpen, undefined) }))
    yield* Deferred.await(isOpen)
    const contender: Contender = {
      name: "socket",
      label: "platform's `Socket.runRaw`",
      run: heard((count, resolve) => {
        left = count
        done = resolve
        Effect.runFork(write(String(count)))
      })
    }
    return contender
  }).pipe(Effect.provide(NodeSocket.layerWebSocketConstructor))

const ours = (url: string) =>
  Effect.gen(function* () {
    const pool = yield* makePool({ url, minConnections: 3, maxConnections: 3 })
    return yield* Effect.forEach(Object.entries(readers), ([name, reader]) =>
      Effect.map(
        pool.get,
        (connection): Contender => ({
          name,
          label: `\`${name}\``,
          isOurs: true,
          run: (count) => Effect.runPromise(Effect.zipRight(connection.send(String(count)), reader(connection, count)))
        })
      )
    )
  })

const contenders = (url: string) =>
  Effect.gen(function* () {
    return [yield* bare(url), ...(yield* ours(url)), yield* platformSocket(url), yield* undici(url)]
  })

const table = (title: string, measured: ReadonlyArray<Measured>): Table =>
  comparison(title, "messages/s", "bare `ws` = 1", measured, 2)

export const receiving: Case = {
  name: "receive",
  about: "one connection that receives messages of 64 bytes as fast as it can",
  run: (settings) =>
    Effect.gen(function* () {
      const pushed = yield* measure(yield* contenders(`${settings.url}/push`), settings, 250)
      const burst = yield* measure(yield* contenders(`${settings.url}/burst`), settings, 150)
      const base = of(pushed, "bare")
      const target = (name: string, least: number, aim: number) => ({
        what: `one connection receiving, \`${name}\`: messages/s`,
        measured: `${number(perSecond(of(pushed, name)))}/s`,
        against: `bare \`message\` listener: ${number(perSecond(base))}/s`,
        ratio: speed(of(pushed, name), base),
        better: "more" as const,
        least,
        aim
      })
      const bars = (title: string, measured: ReadonlyArray<Measured>) => ({
        title,
        bars: measured.map((one) => ({ name: one.label, value: perSecond(one), isOurs: one.isOurs }))
      })
      const report: Report = {
        name: "receive",
        tables: [
          table("One connection receives messages of 64 bytes, which the server sends one by one", pushed),
          table("The same, when the server writes many at once, so that the client alone is the limit", burst)
        ],
        targets: [target("receive", 0.75, 0.9), target("messages", 0.6, 0.75), target("receiveChunk", 0.9, 0.97)],
        drawings: [
          {
            name: "receive",
            bars: {
              title: "One connection receives messages of 64 bytes",
              subtitle: "Messages per second: more is better",
              panels: [
                bars("the server sends one by one", pushed),
                bars("the server writes many at once: the client alone is the limit", burst)
              ]
            }
          }
        ],
        samples: { pushed, burst }
      }
      return report
    })
}
