import { caughtBy } from "#dialect"
import * as Duration from "#effect/Duration"
import * as Predicate from "#effect/Predicate"
import type { OldestLease } from "./oldestLease.js"
import type { QuotaStats } from "./quotaStats.js"
import type { CloseInitiator, ConnectFailureReason, QuotaFailureReason, SetupStep } from "./reasons.js"

// Each says what happened, where, and what to look at or change, on one line, whatever others have put into it.

/** Of a pool's statistics. */
interface Counts {
  readonly busy: number
  readonly draining: number
  readonly maxConnections: number
  readonly waiting: number
  readonly total: number
  readonly queued: number
}

/** What the errors carry, and their messages are made of. */
interface Exhausted {
  readonly pool: string
  readonly reason: "AcquireTimeout" | "TooManyWaiters" | "Quota"
  readonly stats: Counts
  readonly waited: Duration.Duration
  readonly limit: Duration.Duration | number
  readonly oldestLease?: OldestLease | undefined
  readonly lastFailure?: Unavailable | undefined
  readonly quota?: QuotaStats | undefined
}

interface Unavailable {
  readonly pool: string
  readonly url: string
  readonly reason: ConnectFailureReason
  readonly step?: SetupStep | undefined
  readonly status?: number | undefined
  readonly retryAfter?: Duration.Duration | undefined
  readonly attempts: number
  readonly cause: unknown
}

interface Closed {
  readonly connectionId: string
  readonly code: number
  readonly reason: string
  readonly initiator: CloseInitiator
}

/** Whatever a cause prints, and as much of it as a log line bears. */
const longest = 500

const oneLine = (text: string): string => {
  const line = text.replace(/[\s\p{Cc}]+/gu, " ").trim()
  return line.length > longest ? `${line.slice(0, longest)}…` : line
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`

const shown = (amount: Duration.Duration | number): string => {
  if (!Duration.isDuration(amount)) return String(amount)
  return Duration.equals(amount, Duration.zero) ? "0ms" : Duration.format(amount)
}

// PoolExhaustedError

/** A lease on which nothing has come for this long is more likely stuck than at work. */
const longQuiet = Duration.seconds(10)

export const exhausted = (error: Exhausted): string => {
  const { limit, reason, waited } = error
  if (reason === "Quota") return exhaustedByQuota(error)
  const what =
    reason === "AcquireTimeout"
      ? `none came free in ${shown(waited)} (acquireTimeout is ${shown(limit)})`
      : `no more may wait (maxWaiters is ${shown(limit)})`
  return describeExhaustion(error, what, adviceOnExhaustion(error))
}

/** Nobody has been turned away yet. */
export const stuck = (wait: Omit<Exhausted, "reason">): string => {
  const { limit, waited } = wait
  const what = `a get has waited for ${shown(waited)} so far (acquireTimeout is ${shown(limit)})`
  return describeExhaustion(wait, what, adviceOnStuckLease)
}

const describeExhaustion = (wait: Omit<Exhausted, "reason">, what: string, advice: string): string => {
  const { lastFailure, oldestLease, pool, stats } = wait
  const others = count(Math.max(stats.waiting - 1, 0), "other")
  const counts = `${stats.busy} of ${stats.maxConnections} leased, ${stats.draining} draining, ${others} waiting`
  const oldest = oldestLease === undefined ? "" : `. ${describeLease(oldestLease)}`
  const failure =
    lastFailure === undefined
      ? ""
      : `. The latest connect, to ${lastFailure.url}, has failed, too: ${whatHappened(lastFailure)}`
  return `Pool "${pool}" is exhausted (${counts}): ${what}${oldest}. ${advice}${failure}`
}

const adviceOnStuckLease =
  "Look at what its holder waits for (another lease of this pool?), and at the server; a timeout inside of the lease gives the connection back"
const exhaustedByQuota = ({ limit, pool, quota, stats, waited }: Exhausted): string => {
  const own = `${stats.total - stats.queued} of them here`
  const fleet =
    quota === undefined
      ? own
      : `${quota.used} of ${quota.limit} permits used by ${count(quota.workers, "worker")}, ${own}, ${quota.waiting} waiting`
  return `Pool "${pool}" is exhausted by its quota (${fleet}): no permit came free in ${shown(waited)} (acquireTimeout is ${shown(limit)}). Hold leases for a shorter time, or raise connections or connects of the quota`
}

const describeLease = ({ connectionId, held, quietFor, span }: OldestLease): string => {
  const where = span === undefined ? "" : ` in span "${oneLine(span)}"`
  return `The oldest lease, of ${connectionId}${where}, has been held for ${shown(held)}, the last ${shown(quietFor)} without a message`
}

const adviceOnExhaustion = ({ oldestLease, stats }: Exhausted): string => {
  if (oldestLease !== undefined && Duration.isGreaterThanOrEqualTo(oldestLease.quietFor, longQuiet)) {
    return adviceOnStuckLease
  }
  return stats.busy === 0
    ? "Connections that drain stand in the way: shorten drain.quietPeriod, or raise maxConnections"
    : "Hold leases for a shorter time, or raise maxConnections"
}

// ConnectionUnavailableError

export const unavailable = (error: Unavailable): string => {
  const { attempts, pool, retryAfter, url } = error
  const after = attempts === 0 ? "" : ` after ${count(attempts, "attempt")}`
  const later = retryAfter === undefined ? "" : `. It asks not to be tried again for ${shown(retryAfter)}`
  const what = `${whatHappened(error)}${later}`
  // A detail may end with a question.
  const sentence = what.endsWith("?") ? what : `${what}.`
  return `Pool "${pool}" could not connect to ${url}${after}: ${sentence} ${adviceOnFailure(error)}`
}

/** What happened, and what lies underneath, once. */
const whatHappened = ({ cause, reason, status, step }: Unavailable): string => {
  if (reason === "Timeout" && isUnavailable(cause)) {
    return `acquireTimeout has passed; the latest attempt failed, since ${whatHappened(cause)}`
  }
  const detail = oneLine(messageOf(cause))
  if (reason === "Timeout" && /^(connect|acquire)Timeout\b/.test(detail)) return detail
  if (step === undefined && saysItAll.test(detail)) return detail
  const what =
    step !== undefined ? `${step} failed` : isOfProxy.test(detail) ? whatFailedAtProxy[reason] : whatFailed[reason]
  if (status === undefined) return `${what}${detail === "" ? "" : ` (${detail})`}`
  // Most transports repeat the status, and say nothing else.
  const isRepeated = new RegExp(`^[^\\d]*\\b${status}$`).test(detail)
  const saysStatus = new RegExp(`\\b${status}\\b`).test(detail)
  if (detail === "" || isRepeated) return `${what} with status ${status}`
  return saysStatus ? `${what} (${detail})` : `${what} with status ${status} (${detail})`
}

const whatFailed: Record<ConnectFailureReason, string> = {
  Timeout: "it took longer than connectTimeout or acquireTimeout allows",
  Network: "the server could not be reached",
  Tls: "the TLS connection failed",
  Handshake: "the server refused the WebSocket upgrade",
  Setup: "the transport could not use what it was given",
  Quota: "the engine of its quota could not be asked for a permit"
}

/** A complaint of the transport about its options. */
const saysItAll = /^the transport's options? /

/** How the cause begins of what failed on the way to a proxy, or was refused by it. */
const isOfProxy = /^proxy \S+:\d+: /

const whatFailedAtProxy: Record<ConnectFailureReason, string> = {
  ...whatFailed,
  Timeout: "the proxy took longer than connectTimeout or acquireTimeout allows",
  Network: "the proxy could not be reached, or hung up",
  Tls: "the TLS connection to the proxy failed",
  Handshake: "the proxy opened no tunnel to the server"
}

const adviceOnFailure = ({ cause, reason, status, step, url }: Unavailable): string => {
  const detail = messageOf(cause)
  if (step === undefined && isOfProxy.test(detail)) return adviceOnProxy(reason, status, detail)
  switch (reason) {
    case "Timeout":
      if (isUnavailable(cause)) return adviceOnFailure(cause)
      return "Does the server answer (and the proxy, if there is one), and are url, headers and onConnect quick? Otherwise raise the timeout"
    case "Network":
      return /ECONNRESET|hang up/.test(detail) && url.startsWith("ws:")
        ? "Is the server up, and is this a port for ws:, not for wss:?"
        : "Is the server up, and are host and port right?"
    case "Tls":
      return noTls.test(detail)
        ? "The port seems not to be one for TLS: use ws:, or another port"
        : "Look at the certificate, and at ca of the transport"
    case "Handshake":
      return status === undefined ? adviceOnNoUpgrade(url) : adviceOnStatus(status)
    case "Quota":
      return "Is the engine up? unreachable of the quota says how many connections may be opened without it"
    case "Setup":
      if (step === "onConnect") return "Look at onConnect, and at what the server says to it"
      if (step !== undefined) return `Look at ${step}`
      return saysItAll.test(detail)
        ? "Look at the options of the transport, as in NodeWebSocketTransport.layer"
        : "Look at url, headers and protocols, and at the options of the transport"
  }
}

const noTls = /wrong version number|packet length too long/

const adviceOnProxy = (reason: ConnectFailureReason, status: number | undefined, detail: string): string => {
  if (reason === "Tls") {
    return noTls.test(detail)
      ? "Give proxy a URL that begins with http:, or another port"
      : "Look at the certificate of the proxy, and at ca of the transport"
  }
  if (status === 407) return "Look at the credentials in the URL of the proxy"
  if (status === undefined) return "Is it an HTTP proxy, is it up, and are its host and port right?"
  return status === 408 || status === 425 || status === 429 || status >= 500
    ? "The proxy has too much to do, or cannot reach the server: are the server up, and its host and port right?"
    : "Does the proxy allow tunnels to this server and port?"
}

const adviceOnNoUpgrade = (url: string): string =>
  `Is it a WebSocket server${url.startsWith("ws:") ? ", and a port for ws:, not for wss:" : ""}? A proxy in between may break the upgrade, too`

const adviceOnStatus = (status: number): string => {
  if (status === 401 || status === 403) return "Look at the credentials in headers and url"
  if (status === 407) return "Look at the credentials of the proxy"
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return "The server has too much to do, or is not up yet: open fewer connections, or retry for longer"
  }
  return status >= 300 && status < 400
    ? "Use the URL that it redirects to, or followRedirects of the transport"
    : "Look at the path of the URL, and at proxies that do not pass the upgrade on"
}

const isUnavailable = (cause: unknown): cause is Unavailable => Predicate.isTagged(cause, "ConnectionUnavailableError")

/** What a cause says of itself; one that says nothing has a name at least. */
const messageOf = (cause: unknown): string => {
  const caught = caughtBy(cause)
  const thrown = caught === undefined ? "" : messageOf(caught)
  if (thrown !== "") return thrown
  if (typeof cause === "string") return cause
  if (Predicate.hasProperty(cause, "message") && typeof cause.message === "string" && cause.message !== "") {
    return cause.message
  }
  if (Predicate.hasProperty(cause, "_tag") && typeof cause._tag === "string") return cause._tag
  return cause instanceof Error && cause.name !== "Error" ? cause.name : ""
}

// QuotaUnavailableError

interface QuotaUnavailable {
  readonly quota: string
  readonly reason: QuotaFailureReason
  readonly cause: unknown
}

export const quotaUnavailable = ({ cause, quota, reason }: QuotaUnavailable): string => {
  const detail = oneLine(messageOf(cause))
  return `The engine of quota "${quota}" ${whatEngineDid[reason]}${detail === "" ? "" : ` (${detail})`}. ${adviceOnEngine[reason]}`
}

const whatEngineDid: Record<QuotaFailureReason, string> = {
  Network: "cannot be reached",
  Timeout: "did not answer within commandTimeout",
  Refused: "refused what it was asked"
}

const adviceOnEngine: Record<QuotaFailureReason, string> = {
  Network: "Is it up, and are host and port right?",
  Timeout: "Does it have too much to do, or is it too far away?",
  Refused: "Look at the credentials, at what its user may do, and at whether it runs Lua scripts"
}

// ConnectionClosedError

export const closed = ({ code, connectionId, initiator, reason }: Closed): string => {
  const why = whyClosed[initiator][code]
  // What somebody has said of a close goes before what its code stands for.
  const detail = reason !== "" ? ` "${oneLine(reason)}"` : why === undefined ? "" : `, ${why}`
  return `Connection ${connectionId} is closed: ${whoClosed[initiator]} with code ${code}${detail}`
}

const whoClosed: Record<CloseInitiator, string> = {
  Remote: "the server or the network ended it",
  Local: "this program ended it",
  Pool: "the pool ended it"
}

/** A holder may close with most of the local codes, too: so they tell what they stand for, not what has happened. */
const whyClosed: Record<CloseInitiator, { readonly [code: number]: string }> = {
  Remote: {
    1006: "which stands for a line that was reset or lost"
  },
  Local: {
    1002: "which stands for a server that broke the protocol",
    1006: "which stands for a close that nobody answered",
    1007: "which stands for text that is not UTF-8, or data that cannot be inflated",
    1009: "which stands for an incoming message larger than maxPayload"
  },
  Pool: {
    1001: "since it was closing and the lease was not given back within shutdownTimeout",
    1006: "since a ping was not answered, and nothing else moved, within pingTimeout"
  }
}
