/**
 * MQTT over WebSockets: each connection is a session, opened once and used by lease after lease.
 *
 *     npx tsx examples/servers/mosquitto.3.ts [ws://localhost:9001]
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Data, Duration, Effect, Schedule, Stream } from "effect"
import { type PoolError, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import mqtt, { type Packet } from "mqtt-packet"

export class MqttError extends Data.TaggedError("MqttError")<{ readonly message: string }> {}

// #region packets
/** A lease that speaks MQTT. A WebSocket message may hold several packets, or a part of one. */
const session = (connection: WebSocketConnection.WebSocketConnection) => {
  const parser = mqtt.parser()
  const packets: Array<Packet> = []
  parser.on("packet", (packet) => packets.push(packet))

  const send = (packet: Packet) => connection.send(mqtt.generate(packet))

  const receive: Effect.Effect<Packet, MqttError | PoolError.ConnectionError> = Effect.suspend(() => {
    const packet = packets.shift()
    if (packet !== undefined) return accepted(packet)
    return connection.receive.pipe(
      Effect.flatMap((message) =>
        Effect.try({
          try: () => parser.parse(Buffer.from(message)),
          catch: (error) => new MqttError({ message: `not MQTT: ${error}` })
        })
      ),
      Effect.andThen(receive)
    )
  })

  /** The next packet of one kind; the others are passed over. */
  const expect = <C extends Packet["cmd"]>(cmd: C) =>
    Effect.repeat(receive, { until: (packet): packet is Extract<Packet, { cmd: C }> => packet.cmd === cmd })

  return { send, expect }
}
// #endregion

/** An answer by which the broker refuses is a failure. */
const accepted = (packet: Packet): Effect.Effect<Packet, MqttError> => {
  if (packet.cmd === "connack" && packet.returnCode !== 0) {
    return new MqttError({ message: `the broker refused the session with code ${packet.returnCode}` })
  }
  if (packet.cmd === "suback" && packet.granted.includes(128)) {
    return new MqttError({ message: "the broker refused the subscription" })
  }
  return Effect.succeed(packet)
}

// #region options
/** How often the broker wants to hear of us, in seconds; it gives up after one and a half times that. */
const defaultKeepAlive = 60

export const options = (url: string, keepAlive = defaultKeepAlive) =>
  ({
    url,
    name: "mosquitto",
    protocols: "mqtt",
    onConnect: (connection) => {
      const { expect, send } = session(connection)
      // Without an id of ours the broker makes one, so that no two connections share a session.
      return send({ cmd: "connect", clientId: "", clean: true, keepalive: keepAlive }).pipe(
        Effect.andThen(expect("connack"))
      )
    },
    // A WebSocket ping is no MQTT packet: it does not keep the session alive.
    pingInterval: Duration.seconds(keepAlive / 2),
    healthCheck: (connection) => {
      const { expect, send } = session(connection)
      return Effect.andThen(send({ cmd: "pingreq" }), expect("pingresp"))
    }
  }) satisfies WebSocketPool.Options

export const layer = (url: string) => NodeWebSocketPool.layer(options(url))
// #endregion

// One request at a time is under way in a lease, so they can all have the same id.
const messageId = 1

// #region leases
/** Publishes, and waits until the broker has it. */
export const publish = (topic: string, payload: string, retain = false) =>
  WebSocketPool.use((connection) => {
    const { expect, send } = session(connection)
    return send({ cmd: "publish", topic, payload, qos: 1, messageId, retain, dup: false }).pipe(
      Effect.andThen(expect("puback")),
      Effect.asVoid
    )
  })

/** The message that the broker keeps for a topic. It unsubscribes, so the connection can be used again. */
export const retained = (topic: string) =>
  WebSocketPool.use((connection) =>
    Effect.gen(function* () {
      const { expect, send } = session(connection)
      yield* send({ cmd: "subscribe", messageId, subscriptions: [{ topic, qos: 0 }] })
      const { payload } = yield* expect("publish")
      yield* send({ cmd: "unsubscribe", messageId, unsubscriptions: [topic] })
      yield* expect("unsuback")
      return payload.toString()
    })
  )

/** All messages of a topic from now on. */
export const subscription = (topic: string, keepAlive = defaultKeepAlive) =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* connection.discard // It stays subscribed, so nobody else may get it.
      const { expect, send } = session(connection)
      yield* send({ cmd: "subscribe", messageId, subscriptions: [{ topic, qos: 0 }] })
      // The pool checks idle connections only; who holds one keeps its session alive.
      yield* send({ cmd: "pingreq" }).pipe(
        Effect.repeat(Schedule.spaced(Duration.seconds(keepAlive / 2))),
        Effect.forkScoped
      )
      return Stream.repeatEffect(Effect.map(expect("publish"), ({ payload }) => payload.toString()))
    })
  )
// #endregion

export const program = Effect.gen(function* () {
  yield* publish("effect-websocket-pool/greeting", "Hello, World!", true)
  yield* Console.log(yield* retained("effect-websocket-pool/greeting"))
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  NodeRuntime.runMain(Effect.provide(program, layer(process.argv[2] ?? "ws://localhost:9001")))
}
