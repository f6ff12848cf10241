import { MsgPack } from "@effect/platform"
import { Effect, Schema } from "effect"
import { WebSocketConnection, WebSocketPool } from "effect-websocket-pool"

const Recording = Schema.Struct({ language: Schema.String, sound: Schema.Uint8ArrayFromSelf })
const Transcript = Schema.Struct({ text: Schema.String, confidence: Schema.Number })

const asHearing = WebSocketConnection.schemaMessage({
  send: MsgPack.schema(Recording),
  receive: MsgPack.schema(Transcript)
})

export const transcribe = (recording: typeof Recording.Type) =>
  WebSocketPool.use((connection) => {
    const hearing = asHearing(connection)
    return Effect.andThen(hearing.send(recording), hearing.receive)
  })
