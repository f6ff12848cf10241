import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type { WideCodec } from "../requests/api.js"
import { type Aside, Incoming } from "../requests/incoming.js"
import type { Message } from "../values/message.js"

/** What a client sends. */
export type Outgoing =
  | { readonly _tag: "Call"; readonly method: string; readonly params: unknown }
  | { readonly _tag: "Tell"; readonly method: string; readonly params: unknown }
  | { readonly _tag: "Subscribe"; readonly method: string; readonly params: unknown; readonly subscription: Subscribed }

/** What the codec has to know of a subscription. */
export interface Subscribed {
  readonly unsubscribe: string
  readonly notification: string
  readonly id: (params: unknown) => unknown
  readonly value: (params: unknown) => unknown
  /** Called when the server has begun it. */
  readonly onBegun: () => void
}

/** What a server answers in place of a result. */
export interface Failure {
  readonly code: number
  readonly message: string
  readonly data: unknown
}

/** A notification that belongs to no subscription. */
export interface Told {
  readonly method: string
  readonly params: unknown
}

export interface Settings {
  readonly cancelMethod: string | undefined
  /** Notifications of each subscription that may come before its answer. */
  readonly bufferSize: number
  /** Answers a call of the server with the text of a result or an error. */
  readonly answer: (method: string, params: unknown) => Effect.Effect<object> | undefined
}

type Said = Incoming<unknown, Failure> | Aside
type Fields = Readonly<Record<string, unknown>>

/** Past so many names that no subscription has yet the oldest are forgotten: those of ended ones may be among them. */
const mostUnknown = 1024

/** Ids from here on are those of requests that end subscriptions; those of calls count from 1. They fit 32 bits with a sign. */
const firstFarewell = 1_000_000_000

/** One subscription, from its request to the answer to its end. */
interface Route {
  readonly id: number
  readonly subscription: Subscribed
  /** What the server calls it, once that is known. */
  name: string | undefined
  serverId: unknown
  /** Whether its reader has gone. */
  hasEnded: boolean
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** JSON-RPC 2.0 over one connection. What is none throws, and ends it. */
export class JsonRpcCodec implements WideCodec<Outgoing, unknown, Failure> {
  /** Subscriptions by the id of their request, and by what the server calls them: several may be one to it, a channel say. */
  private readonly routes = new Map<number, Route>()
  private readonly named = new Map<string, Set<Route>>()
  /** How many of them are not answered yet. */
  private unanswered = 0
  /** Params of notifications for subscriptions that are not known yet, by what the server calls those. */
  private readonly early = new Map<string, Array<unknown>>()

  constructor(private readonly settings: Settings) {}

  encode(id: number, outgoing: Outgoing): Message {
    const { method, params } = outgoing
    if (outgoing._tag === "Tell") return write({ method, params })
    const text = write({ id, method, params })
    if (outgoing._tag === "Subscribe") {
      this.routes.set(id, {
        id,
        subscription: outgoing.subscription,
        name: undefined,
        serverId: undefined,
        hasEnded: false
      })
      this.unanswered += 1
    }
    return text
  }

  withdrawn(id: number): void {
    if (this.routes.delete(id)) this.answeredOne()
  }

  /** The last of those that are one to the server ends it. */
  leaves(id: number): boolean {
    const route = this.routes.get(id)
    if (route?.name === undefined || this.named.get(route.name)?.size === 1) return false
    this.forget(route)
    return true
  }

  cancel(id: number): Message | undefined {
    const route = this.routes.get(id)
    if (route === undefined) {
      const { cancelMethod } = this.settings
      return cancelMethod === undefined ? undefined : write({ method: cancelMethod, params: { id } })
    }
    route.hasEnded = true
    // Until it is known what to end, its place is taken.
    return route.name === undefined ? undefined : this.farewell(route)
  }

  /** Ends a subscription that the server has begun. */
  private farewell(route: Route): Message {
    const { subscription } = route
    this.forget(route)
    return write({ id: firstFarewell + route.id, method: subscription.unsubscribe, params: [route.serverId] })
  }

  private forget(route: Route): void {
    this.routes.delete(route.id)
    if (route.name === undefined) return
    const those = this.named.get(route.name)
    those?.delete(route)
    if (those?.size === 0) this.named.delete(route.name)
  }

  decode(message: Message): ReadonlyArray<Said> {
    const json: unknown = JSON.parse(typeof message === "string" ? message : utf8.decode(message))
    if (!Array.isArray(json)) return this.read(json)
    if (json.length === 0) throw new TypeError("an empty batch")
    return json.flatMap((one) => this.read(one))
  }

  private read(json: unknown): ReadonlyArray<Said> {
    if (typeof json !== "object" || json === null || Array.isArray(json)) throw new TypeError("no object")
    const fields = json as Fields
    const { id, method, params } = fields
    if (typeof method === "string") {
      return id === undefined || id === null ? this.told(method, params) : [this.called(id, method, params)]
    }
    if (method !== undefined) throw new TypeError("a method that is no text")
    if (fields.error !== undefined && fields.error !== null) {
      const failure = failureOf(fields.error)
      return id === null || id === undefined ? [Incoming.Refused({ error: failure })] : this.failed(idOf(id), failure)
    }
    if (id === undefined || id === null || !("result" in fields)) throw new TypeError("neither result nor error")
    return this.answered(idOf(id), fields.result)
  }

  private answered(id: number, result: unknown): ReadonlyArray<Said> {
    if (id >= firstFarewell) return [{ _tag: "Settled", id: id - firstFarewell }]
    const route = this.routes.get(id)
    if (route === undefined || route.name !== undefined) return [Incoming.End({ id, exit: Exit.succeed(result) })]
    const name = nameOf(route.subscription.notification, result)
    route.name = name
    route.serverId = result
    const early = this.early.get(name) ?? []
    this.early.delete(name)
    this.answeredOne()
    const those = this.named.get(name)
    if (route.hasEnded) {
      if (those === undefined) return [{ _tag: "Reply", message: this.farewell(route) }]
      this.forget(route)
      return [{ _tag: "Settled", id }]
    }
    if (those === undefined) this.named.set(name, new Set([route]))
    else those.add(route)
    route.subscription.onBegun()
    return early.map((params) => Incoming.Item({ id, value: valueIn(route.subscription, params) }))
  }

  /** What is kept for subscriptions that are not known yet is kept only while there are such. */
  private answeredOne(): void {
    this.unanswered -= 1
    if (this.unanswered === 0) this.early.clear()
  }

  private failed(id: number, failure: Failure): ReadonlyArray<Said> {
    if (id >= firstFarewell) return [{ _tag: "Settled", id: id - firstFarewell }]
    const route = this.routes.get(id)
    if (route !== undefined && route.name === undefined) {
      this.forget(route)
      this.answeredOne()
    }
    return [Incoming.End({ id, exit: Exit.fail(failure) })]
  }

  private told(method: string, params: unknown): ReadonlyArray<Said> {
    // Subscriptions of one server seldom differ in how they are named: the first that knows its own will do.
    let isAwaited = false
    for (const route of this.routes.values()) {
      if (route.subscription.notification !== method) continue
      const name = nameOf(method, idIn(route.subscription, params))
      const known = this.named.get(name)
      if (known !== undefined) {
        return Array.from(known, ({ id, subscription }) => Incoming.Item({ id, value: valueIn(subscription, params) }))
      }
      if (route.name !== undefined) continue
      isAwaited = true
      this.keep(name, params)
      break
    }
    return isAwaited ? [] : [Incoming.Notice({ value: { method, params } satisfies Told })]
  }

  /** Each subscription has room of its own: a busy one takes none from the others. */
  private keep(name: string, params: unknown): void {
    const kept = this.early.get(name)
    if (kept !== undefined) {
      kept.push(params)
      if (kept.length > this.settings.bufferSize) kept.shift()
      return
    }
    const [oldest] = this.early.keys()
    if (this.early.size >= mostUnknown && oldest !== undefined) this.early.delete(oldest)
    this.early.set(name, [params])
  }

  private called(id: unknown, method: string, params: unknown): Said {
    const answer = this.settings.answer(method, params)
    const reply = (fields: object): Message => replyTo(id, fields)
    if (answer === undefined) {
      return { _tag: "Reply", message: reply({ error: { code: -32601, message: "Method not found" } }) }
    }
    const refusal = (): Message => reply({ error: { code: -32000, message: "Too many calls at once" } })
    return { _tag: "Task", effect: Effect.map(answer, reply), refusal }
  }
}

const write = (fields: object): string => {
  const text = JSON.stringify({ jsonrpc: "2.0", ...fields })
  if (text === undefined) throw new TypeError("nothing in JSON stands for it")
  return text
}

/** What JSON has no text for would leave a call without its answer. */
const replyTo = (id: unknown, fields: object): string => {
  try {
    const texts = Object.entries(fields).map(([name, value]) => `"${name}":${JSON.stringify(value) ?? "null"}`)
    return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${texts.join(",")}}`
  } catch {
    return replyTo(id, { error: { code: -32603, message: "Internal error" } })
  }
}

/** Some servers send a number back as a text. */
const idOf = (id: unknown): number => {
  if (typeof id === "number") return id
  if (typeof id === "string" && /^\d+$/.test(id)) return Number(id)
  // It is none of ours.
  return -1
}

const failureOf = (error: unknown): Failure => {
  const { code, data, message } = (typeof error === "object" && error !== null ? error : {}) as Fields
  return {
    code: typeof code === "number" ? code : -32603,
    message: typeof message === "string" ? message : "The server gives no message",
    data
  }
}

/** Texts and numbers are told apart, as servers do. */
const nameOf = (notification: string, id: unknown): string => `${notification} ${JSON.stringify(id)}`

// Both are the program's own, and made for params as they should be.

const idIn = ({ id }: Subscribed, params: unknown): unknown => attempt(id, params)

/** Without a value the item does not match its schema: that is for its stream to tell. */
const valueIn = ({ value }: Subscribed, params: unknown): unknown => attempt(value, params)

const attempt = (f: (params: unknown) => unknown, params: unknown): unknown => {
  try {
    return f(params)
  } catch {
    return undefined
  }
}
