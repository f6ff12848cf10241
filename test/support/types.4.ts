/** Types that have another shape in each edition, and schemas that are made in another way, for Effect 4. */
import type { NonEmptyArray } from "effect/Array"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import type * as EffectSocket from "effect/socket/Socket"

export type ErrorOf<T extends Effect.Effect<unknown, unknown, unknown>> = Effect.Error<T>
export type NonEmpty<A> = NonEmptyArray<A>
export type ParseError = Schema.SchemaError
export type Socket = EffectSocket.Socket

/** A schema that needs a service. */
export const needing = <S, V>(tag: Context.Key<S, V>) =>
  Schema.String.pipe(
    Schema.decodeTo(Schema.Number, {
      decode: SchemaGetter.transformEffect(() => Effect.as(tag, 1)),
      encode: SchemaGetter.transformEffect(() => Effect.as(tag, "1"))
    })
  )

/** Schemas that encode to messages. */
export const Point = Schema.fromJsonString(Schema.Struct({ x: Schema.Number, at: Schema.DateFromString }))
export const Words = Schema.String.pipe(
  Schema.decodeTo(Schema.Array(Schema.String), {
    decode: SchemaGetter.split({ separator: "," }),
    encode: SchemaGetter.transform((words) => words.join(","))
  })
)

/** The layer of a `LayerMap.Service`. */
export const layerOf = <Self, E, R>(map: { readonly layer: Layer.Layer<Self, E, R> }): Layer.Layer<Self, E, R> =>
  map.layer
