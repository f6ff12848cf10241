import { Console, Effect, Layer } from "effect"
import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"

// A server in this process, which sends back what it gets.
const Server = WebSocketTransport.layerMemory((peer) => Effect.forever(Effect.flatMap(peer.receive, peer.send)))
const Pool = WebSocketPool.layer({ url: "ws://localhost:8080" }).pipe(Layer.provide(Server))

const program = WebSocketPool.use((connection) =>
  Effect.andThen(connection.send("Hello, World!"), connection.receive)
).pipe(Effect.flatMap(Console.log))

Effect.runPromise(Effect.provide(program, Pool))
