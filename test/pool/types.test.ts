import {
  PoolError,
  PoolEvent,
  type PoolStats,
  ResourcePool,
  WebSocketConnection,
  WebSocketPool,
  WebSocketTransport
} from "effect-websocket-pool"
import { NodeWebSocketPool, NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Config from "#effect/Config"
import * as Context from "#effect/Context"
import type * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Layer from "#effect/Layer"
import * as Redacted from "#effect/Redacted"
import * as Schedule from "#effect/Schedule"
import type * as Scope from "#effect/Scope"
import type * as Stream from "#effect/Stream"
import type { ErrorOf, NonEmpty, Socket } from "#support/types"
import { assert, describe, expectTypeOf, it } from "#support/vitest"

class A extends Context.Service<A, "a">()("A") {}
class B extends Context.Service<B, "b">()("B") {}
class C extends Context.Service<C, "c">()("C") {}
class D extends Context.Service<D, "d">()("D") {}
class F extends Context.Service<F, "f">()("F") {}
class Tts extends WebSocketPool.Tag("Tts")<Tts>() {}

type Connection = WebSocketConnection.WebSocketConnection
type Pool = WebSocketPool.WebSocketPool
type Transport = WebSocketTransport.WebSocketTransport
type AcquireError = PoolError.PoolExhaustedError | PoolError.PoolClosedError | PoolError.ConnectionUnavailableError
type ConnectionError = PoolError.ConnectionClosedError | PoolError.ConnectionBusyError

const url = "ws://server.test"

/** A hook that needs a service and a scope, and may fail. */
const needs =
  <S extends A | B | C | D | F, V>(tag: Context.Key<S, V>) =>
  (_: Connection): Effect.Effect<V, "no", S | Scope.Scope> =>
    Effect.andThen(
      Effect.addFinalizer(() => Effect.void),
      tag
    )

const hooks = {
  url: Effect.as(A, url),
  headers: Effect.map(B, (value) => ({ authorization: Redacted.make<string>(value), plain: value })),
  onConnect: needs(C),
  healthCheck: needs(D),
  onRelease: needs(F)
}

describe("PoolError", () => {
  it("has the unions that the contract names", () => {
    expectTypeOf<PoolError.AcquireError>().toEqualTypeOf<AcquireError>()
    expectTypeOf<PoolError.ConnectionError>().toEqualTypeOf<ConnectionError>()
    expectTypeOf<PoolError.PoolError>().toEqualTypeOf<AcquireError | ConnectionError>()
    expectTypeOf(PoolError.isPoolError).toEqualTypeOf<(u: unknown) => u is PoolError.PoolError>()
  })

  it("has the fields that the contract names", () => {
    expectTypeOf<PoolError.PoolExhaustedError["reason"]>().toEqualTypeOf<
      "AcquireTimeout" | "TooManyWaiters" | "Quota"
    >()
    expectTypeOf<PoolError.PoolExhaustedError["pool"]>().toEqualTypeOf<string>()
    expectTypeOf<PoolError.PoolExhaustedError["stats"]>().toEqualTypeOf<PoolStats.PoolStats>()
    expectTypeOf<PoolError.PoolExhaustedError["lastFailure"]>().toEqualTypeOf<
      PoolError.ConnectionUnavailableError | undefined
    >()
    expectTypeOf<PoolError.PoolExhaustedError["waited"]>().toEqualTypeOf<Duration.Duration>()
    expectTypeOf<PoolError.PoolExhaustedError["limit"]>().toEqualTypeOf<Duration.Duration | number>()
    expectTypeOf<PoolError.PoolExhaustedError["oldestLease"]>().toEqualTypeOf<
      | {
          readonly connectionId: string
          readonly held: Duration.Duration
          readonly quietFor: Duration.Duration
          readonly span?: string | undefined
        }
      | undefined
    >()
    expectTypeOf<PoolError.ConnectionUnavailableError["step"]>().toEqualTypeOf<
      "url" | "headers" | "onConnect" | undefined
    >()
    expectTypeOf<PoolError.ConnectionUnavailableError["retryAfter"]>().toEqualTypeOf<Duration.Duration | undefined>()
    expectTypeOf<PoolError.PoolClosedError["pool"]>().toEqualTypeOf<string>()
    expectTypeOf<PoolError.ConnectionUnavailableError["reason"]>().toEqualTypeOf<
      "Timeout" | "Network" | "Tls" | "Handshake" | "Setup" | "Quota"
    >()
    expectTypeOf<PoolError.ConnectionUnavailableError["url"]>().toEqualTypeOf<string>()
    expectTypeOf<PoolError.ConnectionUnavailableError["status"]>().toEqualTypeOf<number | undefined>()
    expectTypeOf<PoolError.ConnectionUnavailableError["attempts"]>().toEqualTypeOf<number>()
    expectTypeOf<PoolError.ConnectionUnavailableError["cause"]>().toEqualTypeOf<unknown>()
    expectTypeOf<PoolError.ConnectionUnavailableError["isRetryable"]>().toEqualTypeOf<boolean>()
    expectTypeOf<PoolError.ConnectionClosedError["code"]>().toEqualTypeOf<number>()
    expectTypeOf<PoolError.ConnectionClosedError["connectionId"]>().toEqualTypeOf<string>()
    expectTypeOf<PoolError.ConnectionClosedError["reason"]>().toEqualTypeOf<string>()
    expectTypeOf<PoolError.ConnectionClosedError["initiator"]>().toEqualTypeOf<"Remote" | "Local" | "Pool">()
    expectTypeOf<PoolError.ConnectionBusyError["reason"]>().toEqualTypeOf<"Released" | "Receiving">()
  })

  it("can be caught by tag, one by one", () => {
    const caught = WebSocketPool.use((connection) => connection.receive).pipe(
      Effect.catchTags({
        PoolExhaustedError: () => Effect.void,
        PoolClosedError: () => Effect.void,
        ConnectionUnavailableError: () => Effect.void,
        ConnectionClosedError: () => Effect.void,
        ConnectionBusyError: () => Effect.void
      })
    )
    expectTypeOf<ErrorOf<typeof caught>>().toEqualTypeOf<never>()
  })
})

describe("PoolEvent", () => {
  it("is a tagged union of the kinds that the contract names", () => {
    expectTypeOf<PoolEvent.PoolEvent["_tag"]>().toEqualTypeOf<
      | "ConnectionOpened"
      | "Queued"
      | "Permitted"
      | "ConnectFailed"
      | "ConnectionClosed"
      | "Acquired"
      | "Released"
      | "LeaseLeakSuspected"
      | "ConnectionRetiring"
      | "Exhausted"
      | "DrainStarted"
      | "DrainCompleted"
      | "MessageDropped"
      | "PoolResized"
      | "PoolClosing"
      | "PoolClosed"
    >()
    expectTypeOf<PoolEvent.PoolEvent["pool"]>().toEqualTypeOf<string>()
    type Of<Tag extends PoolEvent.PoolEvent["_tag"]> = Extract<PoolEvent.PoolEvent, { readonly _tag: Tag }>
    expectTypeOf<Of<"ConnectionOpened">["elapsed"]>().toEqualTypeOf<Duration.Duration>()
    expectTypeOf<Of<"ConnectionOpened">["attempts"]>().toEqualTypeOf<number>()
    expectTypeOf<Of<"ConnectFailed">["error"]>().toEqualTypeOf<PoolError.ConnectionUnavailableError>()
    expectTypeOf<Of<"ConnectionClosed">["age"]>().toEqualTypeOf<Duration.Duration>()
    expectTypeOf<Of<"ConnectionClosed">["code"]>().toEqualTypeOf<number>()
    expectTypeOf<Of<"ConnectionClosed">["reason"]>().toEqualTypeOf<
      | "Idle"
      | "Expired"
      | "Unhealthy"
      | "Dirty"
      | "DrainTimeout"
      | "Discarded"
      | "Remote"
      | "Refreshed"
      | "Evicted"
      | "Reclaimed"
      | "Shutdown"
      | "Protocol"
      | "Closed"
    >()
    expectTypeOf<Of<"Acquired">["waited"]>().toEqualTypeOf<Duration.Duration>()
    expectTypeOf<Of<"Released">["held"]>().toEqualTypeOf<Duration.Duration>()
    expectTypeOf<Of<"Exhausted">["error"]>().toEqualTypeOf<PoolError.PoolExhaustedError>()
    expectTypeOf<Of<"DrainCompleted">["dropped"]>().toEqualTypeOf<number>()
    expectTypeOf<Of<"DrainCompleted">["elapsed"]>().toEqualTypeOf<Duration.Duration>()
    expectTypeOf<Of<"MessageDropped">["bytes"]>().toEqualTypeOf<number>()
    assert.isTrue(PoolEvent.is("PoolClosed")({ _tag: "PoolClosed", pool: "p" }))
  })
})

describe("PoolStats", () => {
  it("has the fields that the contract names", () => {
    expectTypeOf<PoolStats.PoolStats["state"]>().toEqualTypeOf<"open" | "closing" | "closed">()
    expectTypeOf<PoolStats.PoolStats["oldestLease"]>().toEqualTypeOf<PoolStats.OldestLease | undefined>()
    expectTypeOf<PoolStats.PoolStats["longestWait"]>().toEqualTypeOf<Duration.Duration | undefined>()
    expectTypeOf<PoolStats.PoolStats["outage"]>().toEqualTypeOf<PoolStats.Outage | undefined>()
    expectTypeOf<PoolStats.Outage["since"]>().toEqualTypeOf<number>()
    expectTypeOf<PoolStats.Outage["attempts"]>().toEqualTypeOf<number>()
    expectTypeOf<PoolStats.Outage["lastFailure"]>().toEqualTypeOf<PoolError.ConnectionUnavailableError>()
    expectTypeOf<PoolStats.PoolStats["closedBy"]>().toEqualTypeOf<{ readonly [R in PoolEvent.CloseReason]: number }>()
    expectTypeOf<PoolError.PoolExhaustedError["oldestLease"]>().toEqualTypeOf<PoolStats.PoolStats["oldestLease"]>()
    expectTypeOf<
      Omit<PoolStats.PoolStats, "closedBy" | "longestWait" | "oldestLease" | "outage" | "state">
    >().toEqualTypeOf<
      Readonly<
        Record<
          | "minConnections"
          | "maxConnections"
          | "total"
          | "idle"
          | "busy"
          | "draining"
          | "connecting"
          | "queued"
          | "closing"
          | "waiting"
          | "opened"
          | "closed"
          | "connectFailures"
          | "acquired"
          | "released"
          | "exhausted"
          | "discarded"
          | "messagesDropped"
          | "drainTimeouts"
          | "healthCheckFailures",
          number
        >
      >
    >()
  })
})

describe("ResourcePool", () => {
  const acquire: Effect.Effect<number, "no", A | Scope.Scope> = Effect.succeed(1)

  it("has E and R of what it is made with", () => {
    expectTypeOf(ResourcePool.make({ acquire, size: 1 })).toEqualTypeOf<
      Effect.Effect<ResourcePool.ResourcePool<number, "no">, never, A | Scope.Scope>
    >()
    expectTypeOf(
      ResourcePool.makeWithTTL({ acquire, min: 0, max: 1, timeToLive: "1 second", timeToLiveStrategy: "usage" })
    ).toEqualTypeOf<Effect.Effect<ResourcePool.ResourcePool<number, "no">, never, A | Scope.Scope>>()
  })

  it("is used data-first and data-last", () => {
    const check = (pool: ResourcePool.ResourcePool<number, "no">) => {
      expectTypeOf(ResourcePool.get(pool)).toEqualTypeOf<
        Effect.Effect<number, "no" | PoolError.PoolClosedError, Scope.Scope>
      >()
      const f = (item: number): Effect.Effect<string, "f", B> => Effect.succeed(String(item))
      type Used = Effect.Effect<string, "no" | "f" | PoolError.PoolClosedError, B>
      expectTypeOf(ResourcePool.use(pool, f)).toEqualTypeOf<Used>()
      expectTypeOf(ResourcePool.use(f)(pool)).toEqualTypeOf<Used>()
      expectTypeOf(pool.pipe(ResourcePool.use(f))).toEqualTypeOf<Used>()
      expectTypeOf(pool).toExtend<ResourcePool.ResourcePool<number, "no">>()
      expectTypeOf(ResourcePool.invalidate(pool, 1)).toEqualTypeOf<Effect.Effect<void>>()
      expectTypeOf(ResourcePool.invalidate(1)(pool)).toEqualTypeOf<Effect.Effect<void>>()
    }
    assert.isFunction(check)
  })
})

describe("WebSocketConnection", () => {
  it("has the members that the contract names", () => {
    expectTypeOf<Connection["id"]>().toEqualTypeOf<string>()
    expectTypeOf<Connection["protocol"]>().toEqualTypeOf<string>()
    expectTypeOf<Connection["send"]>().toEqualTypeOf<
      (message: string | Uint8Array) => Effect.Effect<void, ConnectionError>
    >()
    expectTypeOf<Connection["receive"]>().toEqualTypeOf<Effect.Effect<string | Uint8Array, ConnectionError>>()
    expectTypeOf<Connection["receiveChunk"]>().toEqualTypeOf<
      Effect.Effect<NonEmpty<string | Uint8Array>, ConnectionError>
    >()
    expectTypeOf<Connection["messages"]>().toEqualTypeOf<Stream.Stream<string | Uint8Array, ConnectionError>>()
    expectTypeOf<Connection["ping"]>().toEqualTypeOf<Effect.Effect<Duration.Duration, ConnectionError>>()
    expectTypeOf<WebSocketConnection.Message>().toEqualTypeOf<WebSocketTransport.Message>()
    expectTypeOf<Connection["info"]>().toEqualTypeOf<Effect.Effect<WebSocketConnection.ConnectionInfo>>()
    expectTypeOf<Connection["discard"]>().toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf<Connection["close"]>().toEqualTypeOf<(code?: number, reason?: string) => Effect.Effect<void>>()
    expectTypeOf<WebSocketConnection.ConnectionInfo["state"]>().toEqualTypeOf<
      "connecting" | "idle" | "busy" | "draining" | "closing" | "closed"
    >()
    expectTypeOf<Exclude<keyof WebSocketConnection.ConnectionInfo, "id" | "state">>().toEqualTypeOf<
      | "isRetiring"
      | "openedAt"
      | "lastActivityAt"
      | "leases"
      | "messagesSent"
      | "messagesReceived"
      | "bytesSent"
      | "bytesReceived"
    >()
    expectTypeOf(WebSocketConnection.toSocket).toEqualTypeOf<(self: Connection) => Socket>()
    expectTypeOf(WebSocketConnection.isWebSocketConnection).toEqualTypeOf<(u: unknown) => u is Connection>()
  })
})

describe("WebSocketPool", () => {
  it("is interface and tag in one", () => {
    expectTypeOf(WebSocketPool.WebSocketPool).toEqualTypeOf<Context.Service<Pool, Pool>>()
    const pool = Effect.map(WebSocketPool.WebSocketPool, (pool) => pool)
    expectTypeOf(pool).toEqualTypeOf<Effect.Effect<Pool, never, Pool>>()
  })

  it("has the members that the contract names", () => {
    type Get = Effect.Effect<Connection, AcquireError, Scope.Scope>
    type Use = <X, E, R>(f: (connection: Connection) => Effect.Effect<X, E, R>) => Effect.Effect<X, E | AcquireError, R>
    expectTypeOf<Pool["get"]>().toEqualTypeOf<Get>()
    expectTypeOf<Pool["getNew"]>().toEqualTypeOf<Get>()
    expectTypeOf<Pool["use"]>().toEqualTypeOf<Use>()
    expectTypeOf<Pool["useNew"]>().toEqualTypeOf<Use>()
    expectTypeOf<Pool["ask"]>().toEqualTypeOf<
      (
        message: WebSocketTransport.Message
      ) => Effect.Effect<WebSocketTransport.Message, AcquireError | PoolError.ConnectionError>
    >()
    expectTypeOf<Pool["stats"]>().toEqualTypeOf<Effect.Effect<WebSocketPool.PoolStats>>()
    expectTypeOf<Pool["events"]>().toEqualTypeOf<Stream.Stream<PoolEvent.PoolEvent>>()
    expectTypeOf<Pool["ready"]>().toEqualTypeOf<
      Effect.Effect<void, PoolError.ConnectionUnavailableError | PoolError.PoolClosedError>
    >()
    expectTypeOf<ReturnType<Pool["resize"]>>().toEqualTypeOf<Effect.Effect<void, Config.ConfigError>>()
    expectTypeOf<{ readonly minConnections?: number; readonly maxConnections?: number }>().toExtend<
      Parameters<Pool["resize"]>[0]
    >()
    expectTypeOf<Pool["refresh"]>().toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf<Pool["close"]>().toEqualTypeOf<Effect.Effect<void>>()
  })

  it("has accessors that take the tag from the context", () => {
    expectTypeOf(WebSocketPool.get).toEqualTypeOf<Effect.Effect<Connection, AcquireError, Pool | Scope.Scope>>()
    expectTypeOf(WebSocketPool.getNew).toEqualTypeOf<Effect.Effect<Connection, AcquireError, Pool | Scope.Scope>>()
    const f = (_: Connection): Effect.Effect<number, "f", A> => Effect.succeed(1)
    expectTypeOf(WebSocketPool.use(f)).toEqualTypeOf<Effect.Effect<number, "f" | AcquireError, A | Pool>>()
    expectTypeOf(WebSocketPool.useNew(f)).toEqualTypeOf<Effect.Effect<number, "f" | AcquireError, A | Pool>>()
    expectTypeOf(WebSocketPool.ask("")).toEqualTypeOf<
      Effect.Effect<WebSocketTransport.Message, AcquireError | PoolError.ConnectionError, Pool>
    >()
    expectTypeOf(WebSocketPool.stats).toEqualTypeOf<Effect.Effect<WebSocketPool.PoolStats, never, Pool>>()
    expectTypeOf(WebSocketPool.events).toEqualTypeOf<Stream.Stream<PoolEvent.PoolEvent, never, Pool>>()
    expectTypeOf(WebSocketPool.ready).toEqualTypeOf<
      Effect.Effect<void, PoolError.ConnectionUnavailableError | PoolError.PoolClosedError, Pool>
    >()
    expectTypeOf(WebSocketPool.resize({ minConnections: 1, maxConnections: undefined })).toEqualTypeOf<
      Effect.Effect<void, Config.ConfigError, Pool>
    >()
    expectTypeOf(WebSocketPool.refresh).toEqualTypeOf<Effect.Effect<void, never, Pool>>()
    expectTypeOf(WebSocketPool.close).toEqualTypeOf<Effect.Effect<void, never, Pool>>()
  })

  it("adds what each option requires, without its Scope, and no error but ConfigError", () => {
    expectTypeOf(WebSocketPool.make({ url })).toEqualTypeOf<
      Effect.Effect<Pool, Config.ConfigError, Scope.Scope | Transport>
    >()
    expectTypeOf(WebSocketPool.layer({ url })).toEqualTypeOf<Layer.Layer<Pool, Config.ConfigError, Transport>>()
    expectTypeOf(WebSocketPool.make(hooks)).toEqualTypeOf<
      Effect.Effect<Pool, Config.ConfigError, Scope.Scope | Transport | A | B | C | D | F>
    >()
    expectTypeOf(WebSocketPool.layer(hooks)).toEqualTypeOf<
      Layer.Layer<Pool, Config.ConfigError, Transport | A | B | C | D | F>
    >()
    expectTypeOf(WebSocketPool.layer({ url, onConnect: hooks.onConnect })).toEqualTypeOf<
      Layer.Layer<Pool, Config.ConfigError, Transport | C>
    >()
    expectTypeOf(WebSocketPool.layer({ url, healthCheck: hooks.healthCheck })).toEqualTypeOf<
      Layer.Layer<Pool, Config.ConfigError, Transport | D>
    >()
    expectTypeOf(
      WebSocketPool.layer({ url, onRelease: (connection) => Effect.andThen(F, connection.send("reset")) })
    ).toEqualTypeOf<Layer.Layer<Pool, Config.ConfigError, Transport | F>>()
    expectTypeOf(
      WebSocketPool.layer({ url: Effect.fail("no" as const), headers: Effect.fail("neither" as const) })
    ).toEqualTypeOf<Layer.Layer<Pool, Config.ConfigError, Transport>>()
  })

  it("takes every option in every form that the contract names", () => {
    const options: WebSocketPool.Options = {
      url: new URL(url),
      protocols: ["a", "b"],
      headers: { a: "plain", b: Redacted.make("secret") },
      name: "name",
      minConnections: 0,
      maxConnections: 50,
      acquireTimeout: "30 seconds",
      maxWaiters: 10,
      connectTimeout: 10_000,
      retry: Schedule.recurs(3),
      idleTimeout: [60, 0],
      connectionTTL: 1n,
      pingInterval: "30 seconds",
      pingTimeout: "10 seconds",
      validateAfterIdle: "5 seconds",
      healthCheck: (connection) => connection.ping,
      onConnect: (connection) => connection.send("login"),
      onRelease: (connection) => connection.send("reset"),
      drain: { quietPeriod: "1 second", timeout: "10 seconds", condition: (message) => typeof message === "string" },
      discardOn: (exit) => exit._tag === "Failure",
      receiveBuffer: 1,
      sendBuffer: 1,
      maxPayload: 1,
      shutdownTimeout: "5 seconds",
      closeTimeout: "2 seconds"
    }
    expectTypeOf(WebSocketPool.layer(options)).toEqualTypeOf<Layer.Layer<Pool, Config.ConfigError, Transport>>()
    WebSocketPool.layer({ url: Redacted.make(url) })
    WebSocketPool.layer({ url: Effect.succeed(new URL(url)), drain: { quietPeriod: 0 } })
    // @ts-expect-error url is required
    WebSocketPool.layer({})
    // @ts-expect-error quietPeriod is required
    WebSocketPool.layer({ url, drain: {} })
  })

  it("takes each option from Config, hooks as Config.succeed, undefined keys as if they were not there", () => {
    expectTypeOf(WebSocketPool.layerConfig({ url: Config.String("URL") })).toEqualTypeOf<
      Layer.Layer<Pool, Config.ConfigError, Transport>
    >()
    const layer = WebSocketPool.layerConfig({
      url: Config.Redacted("URL"),
      maxConnections: Config.Int("MAX"),
      acquireTimeout: Config.Duration("ACQUIRE"),
      drain: { quietPeriod: Config.Duration("QUIET") },
      headers: { authorization: Config.Redacted("TOKEN") },
      name: undefined,
      onConnect: Config.succeed(hooks.onConnect),
      healthCheck: Config.succeed(hooks.healthCheck),
      onRelease: undefined
    })
    expectTypeOf(layer).toEqualTypeOf<Layer.Layer<Pool, Config.ConfigError, Transport | C | D>>()
    const wrapped: Config.Wrap<WebSocketPool.Options> = { url: Config.String("URL") }
    expectTypeOf(WebSocketPool.layerConfig(wrapped)).toEqualTypeOf<Layer.Layer<Pool, Config.ConfigError, Transport>>()
  })
})

describe("WebSocketPool.Tag", () => {
  it("makes tags that are told apart, with the same accessors", () => {
    type Get = Effect.Effect<Connection, AcquireError, Tts | Scope.Scope>
    expectTypeOf(Tts.get).toEqualTypeOf<Get>()
    expectTypeOf(Tts.getNew).toEqualTypeOf<Get>()
    const f = (_: Connection): Effect.Effect<number, "f", A> => Effect.succeed(1)
    expectTypeOf(Tts.use(f)).toEqualTypeOf<Effect.Effect<number, "f" | AcquireError, A | Tts>>()
    expectTypeOf(Tts.useNew(f)).toEqualTypeOf<Effect.Effect<number, "f" | AcquireError, A | Tts>>()
    expectTypeOf(Tts.ask(new Uint8Array())).toEqualTypeOf<
      Effect.Effect<WebSocketTransport.Message, AcquireError | PoolError.ConnectionError, Tts>
    >()
    expectTypeOf(Tts.stats).toEqualTypeOf<Effect.Effect<WebSocketPool.PoolStats, never, Tts>>()
    expectTypeOf(Tts.events).toEqualTypeOf<Stream.Stream<PoolEvent.PoolEvent, never, Tts>>()
    expectTypeOf(Tts.ready).toEqualTypeOf<
      Effect.Effect<void, PoolError.ConnectionUnavailableError | PoolError.PoolClosedError, Tts>
    >()
    expectTypeOf(Tts.resize({ minConnections: 1, maxConnections: undefined })).toEqualTypeOf<
      Effect.Effect<void, Config.ConfigError, Tts>
    >()
    expectTypeOf(Tts.refresh).toEqualTypeOf<Effect.Effect<void, never, Tts>>()
    expectTypeOf(Tts.close).toEqualTypeOf<Effect.Effect<void, never, Tts>>()
    expectTypeOf(Effect.map(Tts, (pool) => pool)).toEqualTypeOf<Effect.Effect<Pool, never, Tts>>()
    expectTypeOf(Tts.layer(hooks)).toEqualTypeOf<Layer.Layer<Tts, Config.ConfigError, Transport | A | B | C | D | F>>()
    expectTypeOf(Tts.layerConfig({ url: Config.String("URL") })).toEqualTypeOf<
      Layer.Layer<Tts, Config.ConfigError, Transport>
    >()
    assert.strictEqual(Tts.key, "Tts")
  })
})

describe("WebSocketTransport", () => {
  it("has a tag, and a layer in memory that requires what its handler does, without its Scope", () => {
    expectTypeOf(WebSocketTransport.WebSocketTransport).toEqualTypeOf<Context.Service<Transport, Transport>>()
    type Peer = WebSocketTransport.MemoryPeer
    expectTypeOf(
      WebSocketTransport.layerMemory((peer: Peer) =>
        Effect.andThen(
          Effect.addFinalizer(() => A),
          peer.receive
        )
      )
    ).toEqualTypeOf<Layer.Layer<Transport, never, A>>()
    expectTypeOf(
      WebSocketTransport.layerMemory(() => Effect.fail("no"), { accept: ({ url }) => Effect.fail(url.length) })
    ).toEqualTypeOf<Layer.Layer<Transport>>()
    expectTypeOf<Peer["send"]>().toEqualTypeOf<
      (message: string | Uint8Array) => Effect.Effect<void, PoolError.ConnectionClosedError>
    >()
    expectTypeOf<Peer["receive"]>().toEqualTypeOf<Effect.Effect<string | Uint8Array, PoolError.ConnectionClosedError>>()
    expectTypeOf<Peer["close"]>().toEqualTypeOf<(code?: number, reason?: string) => Effect.Effect<void>>()
    expectTypeOf<Peer["destroy"]>().toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf<Peer["silence"]>().toEqualTypeOf<Effect.Effect<void>>()
    expectTypeOf<WebSocketTransport.Message>().toEqualTypeOf<string | Uint8Array>()
  })
})

describe("the Node entry", () => {
  it("provides the transport", () => {
    expectTypeOf(NodeWebSocketPool.layer({ url })).toEqualTypeOf<Layer.Layer<Pool, Config.ConfigError>>()
    expectTypeOf(NodeWebSocketPool.layer(hooks)).toEqualTypeOf<
      Layer.Layer<Pool, Config.ConfigError, A | B | C | D | F>
    >()
    expectTypeOf(NodeWebSocketPool.layerConfig({ url: Config.String("URL") })).toEqualTypeOf<
      Layer.Layer<Pool, Config.ConfigError>
    >()
    expectTypeOf(NodeWebSocketTransport.layer()).toEqualTypeOf<Layer.Layer<Transport>>()
    expectTypeOf(
      NodeWebSocketTransport.layer({ ca: "ca", cert: "cert", key: "key", rejectUnauthorized: true })
    ).toEqualTypeOf<Layer.Layer<Transport>>()
    expectTypeOf(
      NodeWebSocketTransport.layer({ perMessageDeflate: true, followRedirects: true, localAddress: "::1" })
    ).toEqualTypeOf<Layer.Layer<Transport>>()
  })
})
