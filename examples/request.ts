import { Effect, Schema } from "effect"
import { WebSocketConnection, WebSocketPool } from "effect-websocket-pool"

const Prompt = Schema.Struct({ prompt: Schema.String })
const Part = Schema.Struct({ text: Schema.String, done: Schema.Boolean })

/** The answer comes in parts. If it does not come to its end in time, the connection is closed, not used again. */
export const complete = (prompt: string) =>
  WebSocketPool.use((connection) => {
    const model = WebSocketConnection.schema(connection, { send: Prompt, receive: Part })
    return WebSocketConnection.request(model, { prompt }, { until: ({ done }) => done })
  }).pipe(
    Effect.timeout("30 seconds"),
    Effect.map((parts) => Array.from(parts, ({ text }) => text).join(""))
  )
