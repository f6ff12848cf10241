import { type Decoder, decoder, type Encoder, encoder } from "#edition/messages/schema"
import * as Exit from "#effect/Exit"
import type { IncomingNotification, Method, Notification, Subscription } from "./api.js"

const asItIs = <A>(value: unknown): Exit.Exit<A> => Exit.succeed(value as A)

const fieldOf =
  (name: string) =>
  (params: unknown): unknown =>
    typeof params === "object" && params !== null ? (params as Readonly<Record<string, unknown>>)[name] : undefined

const encode = <P, IP, RP>(schema: Encoder<P, IP, RP> | undefined) => (schema === undefined ? asItIs : encoder(schema))
const decode = <A, IA, RA>(schema: Decoder<A, IA, RA> | undefined) =>
  schema === undefined ? asItIs<A> : decoder(schema)

// In a group that is written in place, the compiler would infer from what the group may hold whatever the schemas leave open:
// params of `never`, requirements of `unknown`. `NoInfer` leaves that to the defaults.

export const method = <
  P = void,
  IP = unknown,
  RP = never,
  A = unknown,
  IA = unknown,
  RA = never,
  D = unknown,
  ID = unknown,
  RD = never
>(
  name: string,
  schemas: {
    readonly params?: Encoder<P, IP, RP> | undefined
    readonly result?: Decoder<A, IA, RA> | undefined
    readonly error?: Decoder<D, ID, RD> | undefined
  } = {}
): Method<NoInfer<P>, NoInfer<A>, NoInfer<D>, NoInfer<RP | RA | RD>> => ({
  _tag: "Method",
  name,
  encode: encode(schemas.params),
  decode: decode(schemas.result),
  decodeError: decode(schemas.error)
})

export const notification = <P = void, IP = unknown, RP = never>(
  name: string,
  schemas: { readonly params?: Encoder<P, IP, RP> | undefined } = {}
): Notification<NoInfer<P>, NoInfer<RP>> => ({ _tag: "Notification", name, encode: encode(schemas.params) })

export const subscription = <P = void, IP = unknown, RP = never, A = unknown, IA = unknown, RA = never>(options: {
  readonly subscribe: string
  readonly unsubscribe: string
  readonly notification: string
  readonly params?: Encoder<P, IP, RP> | undefined
  readonly item: Decoder<A, IA, RA>
  readonly id?: ((params: unknown) => unknown) | undefined
  readonly value?: ((params: unknown) => unknown) | undefined
}): Subscription<NoInfer<P>, NoInfer<A>, NoInfer<RP | RA>> => ({
  _tag: "Subscription",
  subscribe: options.subscribe,
  unsubscribe: options.unsubscribe,
  notification: options.notification,
  id: options.id ?? fieldOf("subscription"),
  value: options.value ?? fieldOf("result"),
  encode: encode(options.params),
  decode: decode(options.item)
})

export const incoming = <A = unknown, IA = unknown, RA = never>(
  name: string,
  schemas: { readonly params?: Decoder<A, IA, RA> | undefined } = {}
): IncomingNotification<NoInfer<A>, NoInfer<RA>> => ({ _tag: "Incoming", name, decode: decode(schemas.params) })
