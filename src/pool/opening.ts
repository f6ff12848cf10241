import type { Fork } from "#dialect"
import * as Cause from "#effect/Cause"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type { Link, LinkHost } from "../connection/link.js"
import type { SlotPool } from "../core/slotPool.js"
import type { Timers } from "../core/timers.js"
import type { Journal } from "../observe/journal.js"
import type { Settings } from "../options/decode.js"
import { BadHeaders, decodeHeaders } from "../options/headers.js"
import * as url from "../options/url.js"
import type { ConnectRequest, WebSocketTransport } from "../transport/seam.js"
import type { AcquireError, ConnectionUnavailableError, PoolClosedError } from "../values/errors.js"
import { abandon, begin, type ConnectorHost, recover, requestTo, wait } from "./connector.js"
import { Creation } from "./creation.js"
import { closedEarly, unavailable } from "./failure.js"
import { Gate } from "./gate.js"
import type { Permits } from "./permits.js"
import type { Place, Tasks } from "./tasks.js"

/** With these a `Retry-After` is a wish of the server, and not of somebody who has redirected the request. */
const holdingStatuses: ReadonlySet<number> = new Set([408, 425, 429, 503])

/** Who has connections opened. */
export interface OpeningHost extends LinkHost {
  readonly settings: Settings
  readonly transport: WebSocketTransport
  readonly journal: Journal
  readonly fork: Fork
  readonly pool: SlotPool<Link, AcquireError>
  readonly permits: Permits | undefined
  /** A connection is open, or keeping `minConnections` has failed for now. */
  readonly onReady: (failure?: ConnectionUnavailableError) => void
  /** The socket of one that the pool has just got is gone already. */
  readonly gone: (link: Link) => void
  readonly poolClosed: () => Effect.Effect<never, PoolClosedError>
}

/** Connections that are being opened: it has them attempted, and tells the core what came of it. */
export class Opening implements ConnectorHost {
  readonly settings: Settings
  readonly transport: WebSocketTransport
  readonly journal: Journal
  readonly fork: Fork
  readonly timers: Timers
  readonly links: LinkHost
  readonly request: ConnectRequest | undefined
  readonly gate: Gate
  lastFailure: ConnectionUnavailableError | undefined = undefined
  /** The URL as it may be shown, if it does not have to be computed. */
  readonly knownUrl: string
  private readonly knownHost: string | undefined
  private readonly pool: SlotPool<Link, AcquireError>
  private readonly creations = new Map<Place, Creation>()
  private ids = 0

  constructor(
    private readonly host: OpeningHost,
    private readonly tasks: Tasks
  ) {
    const { settings } = host
    this.settings = settings
    this.transport = host.transport
    this.journal = host.journal
    this.fork = host.fork
    this.timers = host.timers
    this.links = host
    this.pool = host.pool
    this.gate = new Gate(host.timers)
    const target = Effect.isEffect(settings.url) ? url.unknown : url.parse(settings.url)
    const headers = Effect.isEffect(settings.headers) ? undefined : decodeHeaders(settings.headers)
    this.knownUrl = typeof target === "string" ? target : url.redact(target)
    this.knownHost = typeof target === "string" ? undefined : target.host
    this.request =
      typeof target === "string" || headers === undefined || headers instanceof BadHeaders
        ? undefined
        : requestTo(settings, target, headers)
  }

  get permits(): Permits | undefined {
    return this.host.permits
  }

  /** What is being opened in a slot. */
  creationOf(slot: Place | undefined): Creation | undefined {
    return slot && this.creations.get(slot)
  }

  /** The one that has been under way for longest. */
  get oldest(): Creation | undefined {
    return this.creations.values().next().value
  }

  create(slot: Place): void {
    const creation = new Creation(slot, this.timers.now(), this.knownUrl, this.request && this.knownHost)
    this.creations.set(slot, creation)
    const { tracing } = this.journal
    tracing.connecting(creation, (slot.starter ?? slot.heldFor)?.request.span)
    const isHeld = creation.host !== undefined && this.gate.holdOf(creation.host) !== undefined
    if (isHeld || this.permits !== undefined) {
      this.tasks.run(slot, wait(this, creation), (exit) => this.established(creation, exit))
      return
    }
    const attempt = begin(this, creation)
    // Most often it is the only one: then its fiber is, too.
    const onAttempted = (exit: Exit.Exit<void, unknown>): void => {
      if (Exit.isFailure(exit)) {
        this.tasks.run(slot, recover(this, creation, attempt, exit.cause), (exit) => this.established(creation, exit))
        return
      }
      tracing.attempted(creation, attempt.span, Exit.void)
      this.established(creation, Exit.succeed(attempt.link))
    }
    this.tasks.run(slot, Effect.interruptible(attempt.open), onAttempted, attempt.limit)
  }

  private established(creation: Creation, exit: Exit.Exit<Link, ConnectionUnavailableError>): void {
    this.journal.tracing.connected(creation, exit)
    if (creation.isWithdrawn) return
    if (Exit.isFailure(exit) || creation.isAborted) this.unopened(creation, exit)
    else if (exit.value.isOpen || this.settings.onConnect === undefined) this.opened(creation, exit.value)
    else {
      const error = unavailable(this.settings.name, creation, Cause.fail(closedEarly(exit.value)))
      this.onAttemptFailed(creation, error)
      this.unopened(creation, Exit.fail(error))
    }
  }

  private opened({ attempts, host, slot, startedAt }: Creation, link: Link): void {
    this.creations.delete(slot)
    if (host !== undefined) this.gate.open(host)
    this.lastFailure = undefined
    this.permits?.opened(link)
    this.journal.opened(link, startedAt, attempts)
    // A server may greet, or say why it will not, and close at once: that is for the holder to see.
    const wasGone = link.isGone
    this.pool.created(slot, link, !link.isOpen)
    if (wasGone) {
      this.host.gone(link)
      this.permits?.release(link)
    } else if (link.end !== undefined) this.links.onEnded(link)
    this.host.onReady()
  }

  private unopened(creation: Creation, exit: Exit.Exit<Link, ConnectionUnavailableError>): void {
    const { link, slot } = creation
    const failed = (): void => {
      this.creations.delete(slot)
      link?.inbox.drop()
      // What was granted in the step in which it was interrupted.
      this.permits?.giveBack(creation)
      if (link !== undefined) this.permits?.failed(link)
      if (creation.isAborted || Exit.isSuccess(exit)) {
        this.pool.failed(slot, this.host.poolClosed())
        return
      }
      const failure = Cause.findErrorOption(exit.cause)
      const error = failure._tag === "Some" ? failure.value : unavailable(this.settings.name, creation, exit.cause)
      this.pool.failed(slot, Effect.fail(error))
      if (slot.background) this.host.onReady(error)
    }
    if (link === undefined || link.isGone || link.socket === undefined) failed()
    else this.tasks.run(slot, abandon(link, false), failed)
  }

  abort(slot: Place): void {
    const creation = this.creations.get(slot)
    if (creation === undefined) return
    creation.isAborted = true
    this.tasks.interrupt(slot)
  }

  nextId(): string {
    this.ids += 1
    // One string, where a template would keep its parts.
    return [this.settings.name, this.ids].join("-")
  }

  isWanted({ slot }: Creation): boolean {
    return slot.background || this.pool.waiting > 0
  }

  onAttemptFailed({ host }: Creation, error: ConnectionUnavailableError): void {
    this.lastFailure = error
    this.journal.connectFailed(error)
    const { retryAfter, status } = error
    if (host === undefined || retryAfter === undefined || status === undefined || !holdingStatuses.has(status)) return
    this.gate.close(host, Duration.toMillis(retryAfter), error)
    this.onHeld()
  }

  onHeld(): void {
    this.pool.refuse()
    const error = this.heldOff()
    if (error !== undefined) this.host.onReady(error)
  }

  /** With what the server holds off what is to be opened, if it does. */
  heldOff(): ConnectionUnavailableError | undefined {
    const hosts =
      this.knownHost === undefined ? Array.from(this.creations.values(), ({ host }) => host) : [this.knownHost]
    for (const host of hosts) {
      const hold = host === undefined ? undefined : this.gate.holdOf(host)
      if (hold !== undefined) return hold.error
    }
    return undefined
  }

  /** What holds off the host of a creation; of all of them, if that does not have to be computed. */
  holdOf(creation: Creation | undefined): ReturnType<Gate["holdOf"]> {
    const host = creation?.host ?? this.knownHost
    return host === undefined ? undefined : this.gate.holdOf(host)
  }

  /** Gives up one that has not begun. */
  withdraw(slot: Place): void {
    const creation = this.creations.get(slot)
    if (creation === undefined) return
    creation.isWithdrawn = true
    this.permits?.leaveAs(creation)
    this.creations.delete(slot)
    this.tasks.interrupt(slot)
    this.pool.withdraw(slot)
  }
}
