import { Effect, Schema, SchemaGetter, SchemaIssue } from "effect"
import { WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import { pack, unpack } from "msgpackr"

/** What a schema encodes to, as MessagePack. */
export const msgPack = <S extends Schema.Constraint>(schema: S) =>
  Schema.Uint8Array.pipe(
    Schema.decodeTo(Schema.Unknown, {
      decode: SchemaGetter.transformEffect((bytes: Uint8Array, options) =>
        Effect.try({
          try: (): unknown => unpack(bytes),
          catch: () => new SchemaIssue.InvalidValue({ message: "Expected MessagePack" }, bytes, options)
        })
      ),
      encode: SchemaGetter.transform((value: unknown): Uint8Array => pack(value))
    }),
    Schema.decodeTo(schema)
  )

const Recording = Schema.Struct({ language: Schema.String, sound: Schema.Uint8Array })
const Transcript = Schema.Struct({ text: Schema.String, confidence: Schema.Number })

const asHearing = WebSocketConnection.schemaMessage({ send: msgPack(Recording), receive: msgPack(Transcript) })

export const transcribe = (recording: typeof Recording.Type) =>
  WebSocketPool.use((connection) => {
    const hearing = asHearing(connection)
    return Effect.andThen(hearing.send(recording), hearing.receive)
  })
