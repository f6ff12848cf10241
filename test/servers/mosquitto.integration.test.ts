/** Mosquitto, an MQTT broker, through its listener for WebSockets. */

import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import mqtt from "mqtt-packet"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Schedule from "#effect/Schedule"
import * as Stream from "#effect/Stream"
import * as example from "#examples/servers/mosquitto"
import { edition } from "#support/edition"
import { assert, describe, it } from "#support/vitest"
import { wsServer } from "../fixtures/servers.js"
import { mosquitto } from "./support/mosquitto.js"
import { runExample, statsWhen } from "./support/pool.js"
import * as Process from "./support/process.js"

const isMissing = Process.find("mosquitto") === undefined

describe.skipIf(isMissing)(
  Process.title("Mosquitto", "mosquitto", "mosquitto"),
  { concurrent: true, timeout: 60_000 },
  () => {
    it.live("the example runs as it is", () =>
      Effect.gen(function* () {
        const { url } = yield* mosquitto()
        assert.deepStrictEqual(yield* runExample(`mosquitto.${edition}.ts`, url), {
          stdout: "Hello, World!\n",
          stderr: ""
        })
      })
    )

    it.live("one session serves lease after lease, in binary messages of the subprotocol mqtt", () =>
      Effect.gen(function* () {
        const { url } = yield* mosquitto()
        yield* Effect.gen(function* () {
          for (const payload of ["one", "two", "three"]) {
            yield* example.publish("topic", payload, true)
            assert.strictEqual(yield* example.retained("topic"), payload)
          }
          assert.strictEqual(yield* WebSocketPool.use((connection) => Effect.succeed(connection.protocol)), "mqtt")
          const { acquired, closed, opened } = yield* WebSocketPool.stats
          assert.deepStrictEqual({ acquired, closed, opened }, { acquired: 7, closed: 0, opened: 1 })
        }).pipe(Effect.provide(example.layer(url)))
      })
    )

    it.live("a packet that the broker sends in many pieces arrives whole", () =>
      Effect.gen(function* () {
        const { url } = yield* mosquitto()
        const payload = "0123456789".repeat(2000)
        yield* Effect.gen(function* () {
          yield* example.publish("topic", payload, true)
          assert.strictEqual(yield* example.retained("topic"), payload)
        }).pipe(Effect.provide(example.layer(url)))
      })
    )

    it.live("two hundred publishers share four sessions", () =>
      Effect.gen(function* () {
        const { url } = yield* mosquitto()
        yield* Effect.gen(function* () {
          const topics = Array.from({ length: 200 }, (_, index) => `topic/${index}`)
          yield* Effect.forEach(topics, (topic) => example.publish(topic, topic, true), { concurrency: "unbounded" })
          const payloads = yield* Effect.forEach(topics, example.retained, { concurrency: "unbounded" })
          assert.deepStrictEqual(payloads, topics)
          assert.strictEqual((yield* WebSocketPool.stats).opened, 4)
        }).pipe(Effect.provide(NodeWebSocketPool.layer({ ...example.options(url), maxConnections: 4 })))
      })
    )

    it.live("what a subscriber receives is nobody else's, and neither is the connection", () =>
      Effect.gen(function* () {
        const { url } = yield* mosquitto()
        yield* Effect.gen(function* () {
          yield* example.publish("news", "first", true)
          const isSubscribed = yield* Deferred.make<void>()
          const subscriber = yield* example.subscription("news").pipe(
            Stream.tap(() => Deferred.succeed(isSubscribed, undefined)),
            Stream.take(3),
            Stream.runCollect,
            Effect.forkChild
          )
          yield* Deferred.await(isSubscribed)
          yield* example.publish("news", "second")
          yield* example.publish("news", "third")
          assert.deepStrictEqual(Array.from(yield* Fiber.join(subscriber)), ["first", "second", "third"])
          const { discarded } = yield* statsWhen(({ closed }) => closed === 1)
          assert.strictEqual(discarded, 1)
          assert.strictEqual(yield* example.retained("news"), "first")
        }).pipe(Effect.provide(example.layer(url)))
      })
    )

    it.live("PINGREQ keeps a session alive, idle or leased, and a WebSocket ping does not", () =>
      Effect.gen(function* () {
        const { url } = yield* mosquitto()
        const keepAlive = 1
        const checked = example.options(url, keepAlive)
        const pinging = NodeWebSocketPool.layer({ ...checked, healthCheck: undefined })
        yield* Effect.gen(function* () {
          yield* example.publish("news", "first", true)
          const subscriber = yield* example
            .subscription("news", keepAlive)
            .pipe(Stream.take(2), Stream.runCollect, Effect.forkChild)
          yield* statsWhen(({ busy }) => busy === 1)
          yield* example.publish("topic", "payload")
          yield* statsWhen(({ busy, idle }) => busy === 1 && idle === 1)

          // They come later, and are cut all the same.
          const idle = example.publish("topic", "payload").pipe(Effect.andThen(statsWhen(({ closed }) => closed === 1)))
          const leased = Effect.flip(WebSocketPool.use((connection) => connection.receive))
          yield* Effect.all([Effect.provide(idle, pinging), Effect.provide(leased, pinging)], { concurrency: 2 })

          const { closed, healthCheckFailures, opened } = yield* WebSocketPool.stats
          assert.deepStrictEqual(
            { closed, healthCheckFailures, opened },
            { closed: 0, healthCheckFailures: 0, opened: 2 }
          )
          yield* example.publish("news", "second")
          assert.deepStrictEqual(Array.from(yield* Fiber.join(subscriber)), ["first", "second"])
        }).pipe(Effect.provide(NodeWebSocketPool.layer(checked)))
      })
    )

    it.live("a broker that is killed and started again is found again", () =>
      Effect.gen(function* () {
        const broker = yield* mosquitto()
        const retry = Schedule.spaced("20 millis")
        yield* Effect.gen(function* () {
          yield* example.publish("topic", "before")
          yield* broker.kill
          yield* statsWhen(({ closed }) => closed === 1)

          const publishing = yield* Effect.forkChild(example.publish("topic", "after", true))
          yield* statsWhen(({ connectFailures }) => connectFailures >= 2)
          yield* broker.restart
          yield* Fiber.join(publishing)
          assert.strictEqual(yield* example.retained("topic"), "after")
          const { closed, opened } = yield* WebSocketPool.stats
          assert.deepStrictEqual({ closed, opened }, { closed: 1, opened: 2 })
        }).pipe(Effect.provide(NodeWebSocketPool.layer({ ...example.options(broker.url), retry })))
      })
    )

    it.live("a broker that is gone is a ConnectionUnavailableError", () =>
      Effect.gen(function* () {
        const broker = yield* mosquitto()
        yield* broker.kill
        const error = yield* example
          .publish("topic", "payload")
          .pipe(
            Effect.flip,
            Effect.provide(NodeWebSocketPool.layer({ ...example.options(broker.url), retry: Schedule.recurs(1) }))
          )
        assert.strictEqual(error._tag, "ConnectionUnavailableError")
        assert.propertyVal(error, "reason", "Network")
        assert.propertyVal(error, "attempts", 2)
      })
    )

    it.live("a session that the broker refuses is a failed setup", () =>
      Effect.gen(function* () {
        const { url } = yield* mosquitto({ allowAnonymous: false })
        const error = yield* example
          .publish("topic", "payload")
          .pipe(
            Effect.flip,
            Effect.provide(NodeWebSocketPool.layer({ ...example.options(url), retry: Schedule.recurs(1) }))
          )
        if (error._tag !== "ConnectionUnavailableError") return assert.fail(error._tag)
        assert.strictEqual(error.reason, "Setup")
        assert.instanceOf(error.cause, example.MqttError)
        assert.propertyVal(error.cause, "message", "the broker refused the session with code 5")
      })
    )
  }
)

describe("MQTT", () => {
  it.live.each([{ size: 1 }, { size: 7 }, { size: Number.POSITIVE_INFINITY }])(
    "packets are found in messages of $size bytes",
    ({ size }) =>
      Effect.gen(function* () {
        const answers = {
          connect: [{ cmd: "connack", returnCode: 0, sessionPresent: false }],
          subscribe: [
            { cmd: "suback", messageId: 1, granted: [0] },
            { cmd: "publish", topic: "topic", payload: "one", qos: 0, dup: false, retain: true },
            { cmd: "publish", topic: "topic", payload: "two", qos: 0, dup: false, retain: false }
          ],
          unsubscribe: [{ cmd: "unsuback", messageId: 1, granted: [] }]
        } satisfies Record<string, ReadonlyArray<mqtt.Packet>>
        const { port } = yield* wsServer((socket) => {
          const parser = mqtt.parser()
          parser.on("packet", ({ cmd }) => {
            const packets: ReadonlyArray<mqtt.Packet> = cmd in answers ? answers[cmd as keyof typeof answers] : []
            const bytes = Buffer.concat(packets.map((packet) => mqtt.generate(packet)))
            for (let i = 0; i < bytes.length; i += size) socket.send(bytes.subarray(i, i + size))
          })
          socket.on("message", (data: Buffer) => parser.parse(data))
        })
        yield* Effect.gen(function* () {
          assert.strictEqual(yield* example.retained("topic"), "one")
          const both = yield* example.subscription("topic").pipe(Stream.take(2), Stream.runCollect)
          assert.deepStrictEqual(Array.from(both), ["one", "two"])
        }).pipe(Effect.provide(example.layer(`ws://127.0.0.1:${port}`)))
      })
  )
})
