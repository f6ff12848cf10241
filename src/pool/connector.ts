import { callback, type Fork, turn } from "#dialect"
import type * as Cause from "#effect/Cause"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Scope from "#effect/Scope"
import type * as Tracer from "#effect/Tracer"
import { Lease } from "../connection/lease.js"
import { Link, type LinkHost } from "../connection/link.js"
import { realTurnOfTheLoop, turnOfTheLoop } from "../core/cancellable.js"
import { abandonable, Limit, within } from "../core/limit.js"
import type { Timers } from "../core/timers.js"
import type { Tracing } from "../observe/tracing.js"
import type { Hook, Settings } from "../options/decode.js"
import { BadHeaders, decodeHeaders } from "../options/headers.js"
import * as url from "../options/url.js"
import type { ConnectRequest, WebSocketTransport } from "../transport/seam.js"
import type { ConnectionUnavailableError } from "../values/errors.js"
import type { Creation } from "./creation.js"
import { type AttemptFailed, badInput, closedEarly, timedOut, unavailable } from "./failure.js"
import type { Gate } from "./gate.js"
import { call } from "./hooks.js"
import type { Permits } from "./permits.js"

/** Whose connections are opened. */
export interface ConnectorHost {
  readonly settings: Settings
  readonly transport: WebSocketTransport
  /** What every attempt asks for, unless it has to be computed. */
  readonly request: ConnectRequest | undefined
  readonly fork: Fork
  readonly timers: Timers
  /** What connections know of the pool. */
  readonly links: LinkHost
  readonly gate: Gate
  /** Those of the pool's quota, if it has one. */
  readonly permits: Permits | undefined
  readonly journal: { readonly tracing: Tracing }
  readonly nextId: () => string
  /** Whether it is worth trying again. */
  readonly isWanted: (creation: Creation) => boolean
  readonly onAttemptFailed: (creation: Creation, error: ConnectionUnavailableError) => void
  /** Its server holds it off. */
  readonly onHeld: () => void
}

type Span = Tracer.Span | undefined

/** An attempt to open a connection. */
export interface Attempt {
  readonly link: Link
  readonly span: Span
  /** To be run within `connectTimeout`. */
  readonly open: Effect.Effect<void, unknown>
  readonly limit: Limit<AttemptFailed>
}

export const begin = (host: ConnectorHost, creation: Creation): Attempt => {
  const { connectTimeout } = host.settings
  creation.attempts += 1
  creation.step = undefined
  const link = new Link(host.nextId(), creation.slot, host.links)
  creation.link = link
  host.permits?.begin(creation, link)
  const span = host.journal.tracing.attempting(creation, link)
  const limit = new Limit(host.timers, Duration.toMillis(connectTimeout), () => timedOut(connectTimeout))
  return { link, span, open: open(host, creation, link, span, limit), limit }
}

/**
 * What follows a first attempt that has failed: it is given up, and there are others, as `retry` says. Whatever it
 * fails with, no socket is left, unless it is interrupted when it is done already: then `abandon` is up to the caller.
 * It is to be run where nothing can be interrupted.
 */
export const recover = (
  host: ConnectorHost,
  creation: Creation,
  attempt: Attempt,
  cause: Cause.Cause<unknown>
): Effect.Effect<Link, ConnectionUnavailableError> =>
  Effect.catch(giveUp(host, creation, attempt, cause), (error) => {
    if (!isWorthwhile(host, creation, error)) return Effect.fail(error)
    // The schedule hears of the first failure, too.
    let first: ConnectionUnavailableError | undefined = error
    return attempts(
      host,
      creation,
      Effect.suspend(() => {
        if (first === undefined) return tryAgain(host, creation)
        const failure = Effect.fail(first)
        first = undefined
        return failure
      })
    )
  })

/**
 * What stands in for a first attempt that the server holds off, or that needs a permit. The rest is as for `recover`.
 */
export const wait = (host: ConnectorHost, creation: Creation): Effect.Effect<Link, ConnectionUnavailableError> =>
  attempts(
    host,
    creation,
    host.permits === undefined
      ? tryAgain(host, creation)
      : Effect.suspend(() => (creation.attempts === 0 ? tryOnce(host, creation) : tryAgain(host, creation)))
  )

const isWorthwhile = (host: ConnectorHost, creation: Creation, error: ConnectionUnavailableError): boolean =>
  error.isRetryable && host.isWanted(creation)

const attempts = (
  host: ConnectorHost,
  creation: Creation,
  attempt: Effect.Effect<Link, ConnectionUnavailableError>
): Effect.Effect<Link, ConnectionUnavailableError> =>
  Effect.interruptible(
    Effect.retry(attempt, {
      schedule: host.settings.retry,
      while: (error) => isWorthwhile(host, creation, error)
    })
  )

/** No schedule, however short its pauses, keeps everybody else from having a turn. */
const tryAgain = (host: ConnectorHost, creation: Creation): Effect.Effect<Link, ConnectionUnavailableError> =>
  Effect.andThen(turnBefore(creation), tryOnce(host, creation))

const tryOnce = (host: ConnectorHost, creation: Creation): Effect.Effect<Link, ConnectionUnavailableError> =>
  Effect.andThen(admit(host, creation), attemptOnce(host, creation))

/** Waits until an attempt may begin: for the server, then for the quota, during which the server may hold it off again. */
const admit = (host: ConnectorHost, creation: Creation): Effect.Effect<void, ConnectionUnavailableError> => {
  const { permits } = host
  if (permits === undefined) return pass(host, creation)
  return Effect.flatMap(Effect.andThen(pass(host, creation), permits.await(creation)), () => {
    if (creation.attempts === 0) creation.startedAt = host.timers.now()
    if (creation.host === undefined || host.gate.holdOf(creation.host) === undefined) return Effect.void
    permits.giveBack(creation)
    return admit(host, creation)
  })
}

/** After so many attempts the event loop goes on, even where no time passes between them. */
const attemptsPerTurn = 50

const turnBefore = (creation: Creation): Effect.Effect<void> =>
  Effect.suspend(() => ((creation.attempts + 1) % attemptsPerTurn === 0 ? realTurnOfTheLoop : turnOfTheLoop))

/** Waits as long as the server has asked for, if it has. Nobody may want the connection any more afterwards. */
const pass = (host: ConnectorHost, creation: Creation): Effect.Effect<void, ConnectionUnavailableError> =>
  Effect.suspend(() => {
    const hold = creation.host === undefined ? undefined : host.gate.holdOf(creation.host)
    if (creation.host === undefined || hold === undefined) return Effect.void
    const { error } = hold
    return Effect.filterOrFail(
      host.gate.pass(creation.host),
      () => host.isWanted(creation),
      () => error
    )
  })

const attemptOnce = (host: ConnectorHost, creation: Creation): Effect.Effect<Link, ConnectionUnavailableError> =>
  Effect.uninterruptibleMask((restore) => {
    const attempt = begin(host, creation)
    return Effect.matchCauseEffect(restore(within(host.fork, attempt.open, attempt.limit)), {
      onFailure: (cause) => giveUp(host, creation, attempt, cause),
      onSuccess: () => {
        host.journal.tracing.attempted(creation, attempt.span, Exit.void)
        return Effect.succeed(attempt.link)
      }
    })
  })

const giveUp = (
  host: ConnectorHost,
  creation: Creation,
  { link, span }: Attempt,
  cause: Cause.Cause<unknown>
): Effect.Effect<never, ConnectionUnavailableError> => {
  const error = unavailable(host.settings.name, creation, cause)
  return Effect.flatMap(
    // After connectTimeout no time is left for a closing handshake.
    abandon(link, !creation.isAborted && error.reason !== "Timeout"),
    () => {
      link.inbox.drop()
      host.permits?.failed(link, error)
      const exit = creation.isAborted ? Exit.interrupt() : Exit.fail(error)
      if (!creation.isAborted) host.onAttemptFailed(creation, error)
      host.journal.tracing.attempted(creation, span, exit)
      return exit
    }
  )
}

/** The spans of a hook belong to the attempt. */
const below = <A, E>(span: Span, hook: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  span === undefined ? hook : Effect.withParentSpan(hook, span)

const open = (
  host: ConnectorHost,
  creation: Creation,
  link: Link,
  span: Span,
  limit: Limit<AttemptFailed>
): Effect.Effect<void, unknown> => {
  const { onConnect } = host.settings
  const connected = connect(host, creation, link, span, limit)
  // A transport without a network may open at once: whoever has asked goes on first.
  const next = onConnect === undefined ? turn : setUp(host, creation, link, onConnect, span)
  return Effect.andThen(connected, next)
}

const connect = (
  host: ConnectorHost,
  creation: Creation,
  link: Link,
  span: Span,
  limit: Limit<AttemptFailed>
): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    // Nothing has to be computed.
    if (host.request !== undefined) return host.transport.connect(host.request, link)
    const { headers, url: given } = host.settings
    creation.step = "url"
    return withValue(host, span, given, (value) => {
      const target = url.parse(value)
      if (typeof target === "string") return badInput("url", target)
      creation.url = url.redact(target)
      creation.host = target.host
      if (host.gate.holdOf(target.host) !== undefined) {
        return Effect.andThen(
          beHeld(host, creation, link, target.host, limit),
          connect(host, creation, link, span, limit)
        )
      }
      creation.step = "headers"
      return withValue(host, span, headers, (value) => {
        const fields = decodeHeaders(value)
        if (fields instanceof BadHeaders) return badInput("headers", fields.message, fields.isRetryable)
        creation.step = undefined
        return host.transport.connect(requestTo(host.settings, target, fields), link)
      })
    })
  })

/** The host was only found out in the attempt, and holds it off: then it has not begun. */
const beHeld = (
  host: ConnectorHost,
  creation: Creation,
  link: Link,
  target: string,
  limit: Limit<AttemptFailed>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { permits } = host
    creation.attempts -= 1
    limit.pause()
    permits?.release(link)
    host.onHeld()
    const passed = host.gate.pass(target)
    return Effect.flatMap(permits === undefined ? passed : Effect.andThen(passed, permits.await(creation)), () => {
      permits?.begin(creation, link)
      if (!host.isWanted(creation)) {
        // Whoever wanted it has left meanwhile, and nothing has begun.
        creation.isAborted = true
        return Effect.interrupt
      }
      creation.attempts += 1
      limit.restart()
      return Effect.void
    })
  })

/** What is asked of the transport. */
export const requestTo = (
  { closeTimeout, maxPayload, protocols }: Settings,
  { href }: URL,
  headers: Readonly<Record<string, string>>
): ConnectRequest => ({ url: href, protocols, headers, maxPayload, closeTimeout })

/** Goes on with an option, which may have to be computed first. */
const withValue = <A>(
  host: ConnectorHost,
  span: Span,
  given: A | Effect.Effect<A, unknown, Scope.Scope>,
  then: (value: A) => Effect.Effect<void, unknown>
): Effect.Effect<void, unknown> =>
  Effect.isEffect(given) ? Effect.flatMap(abandonable(host.fork, below(span, Effect.scoped(given))), then) : then(given)

const setUp = (
  host: ConnectorHost,
  creation: Creation,
  link: Link,
  onConnect: Hook,
  span: Span
): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    creation.step = "onConnect"
    return Effect.andThen(checkOpen(link), Effect.andThen(runOnConnect(host, link, onConnect, span), checkOpen(link)))
  })

/** Some servers accept everybody and close the door at once: then there is nothing to set up. */
const checkOpen = (link: Link): Effect.Effect<void, AttemptFailed> =>
  Effect.suspend(() => (link.isOpen ? Effect.void : Effect.fail(closedEarly(link))))

/** The hook's scope is the connection's: it is closed when the socket is gone. */
const runOnConnect = (host: ConnectorHost, link: Link, onConnect: Hook, span: Span): Effect.Effect<void, unknown> =>
  Effect.flatMap(Scope.make(), (scope) => {
    const lease = new Lease(link)
    link.scope = scope
    link.lease = lease
    const run = Effect.provideService(call("onConnect", onConnect, lease), Scope.Scope, scope)
    return Effect.ensuring(
      abandonable(host.fork, below(span, run)),
      Effect.sync(() => link.endLease())
    )
  })

/** Closes what an attempt has opened so far, and waits until its socket is gone. */
export const abandon = (link: Link, politely: boolean): Effect.Effect<void> =>
  callback((resume) => {
    if (link.socket === undefined || link.isGone) return resume(Effect.void)
    link.onceGone = () => resume(Effect.void)
    if (politely) link.close(1000, "", "Pool", "Closed")
    else link.destroy()
  })
