import { Effect, Stream } from "effect"
import { PoolEvent, WebSocketPool } from "effect-websocket-pool"

/** Logs what is worth a line; run it in a fiber of its own. */
export const watch = WebSocketPool.events.pipe(
  Stream.runForEach((event) => {
    if (PoolEvent.is("ConnectFailed")(event)) return Effect.logWarning(event.error.message)
    if (PoolEvent.is("ConnectionClosed")(event)) return Effect.logInfo(`${event.connectionId}: ${event.reason}`)
    return Effect.void
  })
)
