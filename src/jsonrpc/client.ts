import { environment, makeTag, streamOf } from "#dialect"
import { isTraced } from "#edition/observe/spans"
import { invalid } from "#edition/options/configError"
import * as Cause from "#effect/Cause"
import * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as Option from "#effect/Option"
import type * as Schema from "#effect/Schema"
import type * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import type * as Types from "#effect/Types"
import { badInput, Problems } from "../options/problems.js"
import type { WebSocketPool } from "../pool/api.js"
import { noEffect } from "../pool/hooks.js"
import type { RequestError } from "../requests/api.js"
import { StreamCall, streamEnd } from "../requests/call.js"
import { type MultiplexerImpl, makeWide } from "../requests/multiplexer.js"
import * as settings from "../requests/settings.js"
import type { LaggedError } from "../values/errors.js"
import { kindOf, show } from "../values/show.js"
import {
  type Client,
  type Group,
  type Handlers,
  JsonRpcError,
  type Member,
  type Method,
  type Notification,
  type Options,
  type OptionsConfig,
  type Subscription,
  type TagClass,
  type WithoutReserved
} from "./api.js"
import { type Failure, JsonRpcCodec, type Outgoing, type Told } from "./codec.js"
import { type Metrics, make as makeMetrics, type Outcome } from "./metrics.js"

type Calls = MultiplexerImpl<Outgoing, unknown, Failure>
type AnyOptions = Options<unknown, unknown, unknown>

/** Those who listen to what servers tell by themselves, by its name. */
class Listeners {
  private readonly byName = new Map<string, Set<StreamCall<unknown, unknown, never>>>()
  private isClosed = false

  constructor(
    private readonly options: AnyOptions,
    private readonly onLagged: () => void
  ) {}

  readonly tell = (value: unknown, connectionId: string): void => {
    const { method, params } = value as Told
    const listeners = this.byName.get(method)
    for (const listener of listeners ?? []) {
      const outcome = listener.push(params, true)
      if (outcome !== "Kept") this.onLagged()
      if (outcome !== "Lagged") continue
      listener.lag(connectionId)
      // What comes from now on would stand behind a gap.
      listeners?.delete(listener)
    }
  }

  /** Nothing comes any more: what they have unread is their last. */
  close(): void {
    this.isClosed = true
    for (const listeners of this.byName.values()) for (const listener of listeners) listener.end(Exit.void)
  }

  listen(name: string): Stream.Stream<unknown, LaggedError> {
    const { bufferSize = settings.bufferSize, overflow = settings.overflow } = this.options
    const open = Effect.sync(() => {
      const listener = new StreamCall<unknown, unknown, never>(undefined, 0, bufferSize, overflow)
      if (this.isClosed) listener.end(Exit.void)
      const all = this.byName.get(name) ?? new Set()
      this.byName.set(name, all.add(listener))
      return listener
    })
    return Stream.unwrap(
      Effect.map(
        Effect.acquireRelease(open, (listener) => Effect.sync(() => this.byName.get(name)?.delete(listener))),
        ({ take }) =>
          streamOf(
            take,
            (error) => error === streamEnd,
            () => false
          ) as Stream.Stream<unknown, LaggedError>
      )
    )
  }
}

const spanOf = (method: string) => ({
  kind: "client" as const,
  captureStackTrace: false,
  attributes: { "rpc.system": "jsonrpc", "rpc.method": method, "rpc.jsonrpc.version": "2.0" }
})

/** Within a span, if anybody sees it: one that nobody sees costs as much as the call. */
const traced = <A, E, R>(method: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  isTraced() ? Effect.withSpan(self, `JsonRpc/${method}`, spanOf(method)) : self

/** The server's error, with what the method's schema makes of its data. */
const failWith = <D, R>(
  method: string,
  decode: (data: unknown) => Effect.Effect<D, Schema.SchemaError, R>,
  { code, data, message }: Failure
): Effect.Effect<never, JsonRpcError<D> | Schema.SchemaError, R> =>
  Effect.andThen(
    // The current span is somebody else's if there is none of the call's.
    Effect.suspend(() => (isTraced() ? Effect.annotateCurrentSpan("rpc.jsonrpc.error_code", code) : Effect.void)),
    Effect.flatMap(decode(data), (decoded) =>
      Effect.fail(new JsonRpcError({ method, code, message, data: decoded }) as JsonRpcError<D>)
    )
  )

const isFailure = (error: Failure | RequestError | LaggedError): error is Failure => !("_tag" in error)

const callOf =
  <P, A, D, R>(calls: Calls, metrics: Metrics, { decode, decodeError, encode, name }: Method<P, A, D, R>) =>
  (params: P): Effect.Effect<A, JsonRpcError<D> | RequestError, R> =>
    Effect.suspend(() =>
      traced(
        name,
        metrics.timed(
          calls.estate.pool.timers,
          name,
          Effect.flatMap(encode(params), (params) =>
            Effect.matchEffect(calls.request({ _tag: "Call", method: name, params }), {
              onFailure: (error): Effect.Effect<A, JsonRpcError<D> | RequestError, R> =>
                isFailure(error) ? failWith(name, decodeError, error) : Effect.fail(error),
              onSuccess: decode
            })
          )
        )
      )
    )

const tellOf =
  <P, R>(calls: Calls, { encode, name }: Notification<P, R>) =>
  (params: P): Effect.Effect<void, RequestError, R> =>
    Effect.suspend(() =>
      traced(
        name,
        Effect.flatMap(
          encode(params),
          (params) =>
            // No answer, no failure of the server's.
            calls.tell({ _tag: "Tell", method: name, params }) as Effect.Effect<void, RequestError>
        )
      )
    )

const asIs = (data: unknown): Effect.Effect<unknown> => Effect.succeed(data)

const streamFor =
  <P, A, R>(
    calls: Calls,
    metrics: Metrics,
    { decode, encode, subscribe: method, ...subscription }: Subscription<P, A, R>
  ) =>
  (params: P): Stream.Stream<A, JsonRpcError | RequestError | LaggedError, R> => {
    const run = (ended: (outcome: Outcome) => void) => {
      const onBegun = (): void => ended("success")
      const items = Stream.unwrap(
        Effect.map(encode(params), (params) =>
          calls.stream({ _tag: "Subscribe", method, params, subscription: { ...subscription, onBegun } })
        )
      )
      const failed = (
        error: Failure | RequestError | LaggedError
      ): Stream.Stream<never, JsonRpcError | RequestError | LaggedError> => {
        ended(isFailure(error) ? "error" : "failure")
        return isFailure(error) ? Stream.fromEffect(failWith(method, asIs, error)) : Stream.fail(error)
      }
      return catchAll(items, failed)
    }
    // What is timed is the request: it is over when the server has begun to send.
    const begin = Effect.sync(() => metrics.begin(calls.estate.pool.timers, method))
    const timed = Stream.unwrap(
      Effect.map(
        Effect.acquireRelease(begin, (ended) => Effect.sync(() => ended("interrupted"))),
        run
      )
    )
    return Stream.withSpan(Stream.mapEffect(timed, decode), `JsonRpc/${method}`, spanOf(method))
  }

/** The same name in both lines of Effect. */
const catchAll = <A, E, R, A2, E2>(
  self: Stream.Stream<A, E, R>,
  f: (error: E) => Stream.Stream<A2, E2>
): Stream.Stream<A | A2, E2, R> => Stream.catch(self, f)

const memberOf = (calls: Calls, metrics: Metrics, listeners: Listeners, member: Member): unknown => {
  switch (member._tag) {
    case "Method":
      return callOf(calls, metrics, member)
    case "Notification":
      return tellOf(calls, member)
    case "Subscription":
      return streamFor(calls, metrics, member)
    case "Incoming":
      return Stream.mapEffect(listeners.listen(member.name), member.decode)
  }
}

/** What a call of the server is answered with: its own failure if that has a code, and nothing that may be a secret. */
const answerOf = (run: Effect.Effect<unknown, unknown>): Effect.Effect<object> =>
  Effect.matchCauseEffect(run, {
    onFailure: (cause) =>
      Effect.as(
        Effect.logDebug("A handler of JSON-RPC has failed", cause),
        errorOf(Option.getOrUndefined(Cause.findErrorOption(cause)))
      ),
    onSuccess: (result) => Effect.succeed({ result: result ?? null })
  })

const errorOf = (failure: unknown): object => {
  const { code, data, message } = (typeof failure === "object" && failure !== null ? failure : {}) as Partial<Failure>
  return typeof code === "number" && Number.isInteger(code)
    ? { error: { code, message: String(message ?? ""), ...(data === undefined ? {} : { data }) } }
    : { error: { code: -32603, message: "Internal error" } }
}

/** How an error calls the client behind a tag. */
const calledBy = (tag: { readonly key: string }): string => `JsonRpc ${JSON.stringify(tag.key)}`

const own: ReadonlyArray<string> = ["cancelMethod", "handlers"]

export const make = <G extends Group, R = never, RHandlers = never, Pool = WebSocketPool>(
  group: G,
  options: Options<R, RHandlers, Pool> = {},
  who = "JsonRpc",
  problems = new Problems()
): Effect.Effect<Client<G>, Config.ConfigError, Types.NoInfer<Pool | R | RHandlers> | Scope.Scope> =>
  Effect.gen(function* () {
    if (typeof options !== "object" || options === null || Effect.isEffect(options)) {
      return yield* badInput(who, ["options"], `Expected an object of options, got ${kindOf(options)}`)
    }
    const { cancelMethod, handlers } = options
    if (cancelMethod !== undefined && (typeof cancelMethod !== "string" || cancelMethod === "")) {
      problems.add(["cancelMethod"], `Expected the name of a notification, got ${show(cancelMethod)}`)
    }
    if (handlers !== undefined && (typeof handlers !== "object" || handlers === null || Array.isArray(handlers))) {
      problems.add(["handlers"], `Expected an object of functions, got ${kindOf(handlers)}`)
    } else for (const [name, handler] of Object.entries(handlers ?? {})) problems.hook(["handlers", name], handler)
    const { context } = yield* environment<RHandlers>()
    let onLagged = (): void => {}
    const listeners = new Listeners(options as AnyOptions, () => onLagged())
    // Finalisers run last to first: what comes while the requests under way end is theirs, too.
    yield* Effect.addFinalizer(() => Effect.sync(() => listeners.close()))
    const answer = (method: string, params: unknown): Effect.Effect<object> | undefined => {
      const handler = handlerOf(handlers, method)
      return (
        handler &&
        answerOf(
          Effect.provide(
            Effect.suspend(() => {
              const given: unknown = handler(params)
              return Effect.isEffect(given)
                ? (given as ReturnType<typeof handler>)
                : Effect.die(new TypeError(noEffect(`The handler of ${method}`, given)))
            }),
            context
          )
        )
      )
    }
    const bufferSize = options.bufferSize ?? settings.bufferSize
    const calls = yield* makeWide<Outgoing, unknown, Failure, R, Pool>({
      options,
      codec: () => new JsonRpcCodec({ cancelMethod, bufferSize, answer }),
      listen: listeners.tell,
      who,
      own,
      problems
    })
    const { pool, tally } = calls.estate
    // Without the pool nothing comes either, however long the client lasts.
    const deaf = Effect.andThen(
      pool.closed,
      Effect.sync(() => listeners.close())
    )
    yield* Effect.forkScoped(Effect.interruptible(deaf))
    const metrics = yield* makeMetrics(pool.settings.name)
    tally.onMissed = metrics.missed
    onLagged = () => tally.missed("lagged")
    const entries = Object.entries(group).map(([name, member]) => [
      name,
      memberOf(calls, metrics, listeners, member as Member)
    ])
    return Object.fromEntries(entries) as Client<G>
  })

const handlerOf = <R>(handlers: Handlers<R> | undefined, method: string) =>
  handlers !== undefined && Object.hasOwn(handlers, method) ? handlers[method] : undefined

export const layer = <Self, G extends Group, R = never, RHandlers = never, Pool = WebSocketPool>(
  tag: Context.Key<Self, Client<G>>,
  group: G,
  options?: Options<R, RHandlers, Pool>
): Layer.Layer<Self, Config.ConfigError, Types.NoInfer<Pool | R | RHandlers>> =>
  Layer.effect(tag, make(group, options, calledBy(tag))) as Layer.Layer<
    Self,
    Config.ConfigError,
    Types.NoInfer<Pool | R | RHandlers>
  >

export const layerConfig = <Self, G extends Group, R = never, RHandlers = never, Pool = WebSocketPool>(
  tag: Context.Key<Self, Client<G>>,
  group: G,
  options: OptionsConfig<R, RHandlers, Pool>
): Layer.Layer<Self, Config.ConfigError, Types.NoInfer<Pool | R | RHandlers>> =>
  Layer.effect(
    tag,
    Effect.gen(function* () {
      const problems = new Problems()
      const values: Record<string, unknown> = {}
      for (const [name, value] of Object.entries(options)) {
        if (value === undefined) continue
        if (!Config.isConfig(value)) {
          problems.unread(
            [name],
            invalid([name], `Expected a Config, got ${kindOf(value)}: wrap it, as in Config.succeed(…)`)
          )
          continue
        }
        yield* Effect.match(value as Config.Config<unknown>, {
          onFailure: (error) => problems.unread([name], error),
          onSuccess: (read) => {
            values[name] = read
          }
        })
      }
      return yield* make(group, values as Options<R, RHandlers, Pool>, calledBy(tag), problems)
    })
  ) as Layer.Layer<Self, Config.ConfigError, Types.NoInfer<Pool | R | RHandlers>>

/** What a tag has itself, in place of what any function or object has. */
const isOwnOf = (tag: object, name: string): boolean => {
  if (name === "layer" || name === "layerConfig") return true
  for (let one: object | null = tag; one !== null; one = Object.getPrototypeOf(one)) {
    if (one === Function.prototype || one === Object.prototype) return false
    if (name !== "toString" && Object.hasOwn(one, name)) return true
  }
  return false
}

export const Tag =
  <const Id extends string>(id: Id) =>
  <Self>() =>
  <const G extends Group & WithoutReserved>(group: G): TagClass<Self, Id, G> => {
    const tag = makeTag<Self, Client<G>, Id>(id)
    const key = tag as unknown as Context.Key<Self, Client<G>>
    for (const [name, member] of Object.entries(group as Group)) {
      if (isOwnOf(tag, name)) {
        throw new TypeError(`A member of ${JSON.stringify(id)} cannot be called ${name}: its tag has that itself`)
      }
      const own = (client: Client<G>) => client[name as keyof G] as unknown
      const value =
        member._tag === "Incoming"
          ? Stream.unwrap(Effect.map(key, (client) => own(client) as Stream.Stream<unknown>))
          : member._tag === "Subscription"
            ? (params: unknown) =>
                Stream.unwrap(
                  Effect.map(key, (client) => (own(client) as (params: unknown) => Stream.Stream<unknown>)(params))
                )
            : (params: unknown) =>
                Effect.flatMap(key, (client) => (own(client) as (params: unknown) => Effect.Effect<unknown>)(params))
      Object.defineProperty(tag, name, { value, enumerable: true })
    }
    return Object.assign(tag, {
      layer: (options?: AnyOptions) => layer(key, group, options),
      layerConfig: (options: OptionsConfig<unknown, unknown, unknown>) => layerConfig(key, group, options)
    }) as unknown as TagClass<Self, Id, G>
  }
