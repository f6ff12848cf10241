import type { Fork } from "#dialect"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import { realTurnOfTheLoop, turnOfTheLoop } from "../core/cancellable.js"
import { makeTimer, type Timer, type Timers } from "../core/timers.js"
import type { Journal } from "../observe/journal.js"
import type { Settings } from "../options/decode.js"
import type { Connections } from "./connections.js"
import type { Fibers } from "./fibers.js"

/**
 * Turns of the event loop that a socket may take to be gone once it is destroyed. Three of them are real ones, which take
 * place on a clock that a test drives, too: a socket of Node's needs two, and a test that looks waits for no more than a few.
 */
const lastTurns = 110
const turnsPerRealTurn = 30

/**
 * The end of a pool. Leases have `shutdownTimeout` to be given back, then their connections are closed; sockets have
 * `closeTimeout` more, then they are destroyed. It is over when no slot and no fiber is left.
 */
export class Shutdown {
  isOver = false
  private readonly vacancy = Deferred.makeUnsafe<void>()
  /** How long it waits for leases, and for everything. */
  private readonly patience: Timer
  private readonly deadline: Timer
  private isOverdue = false

  constructor(
    private readonly settings: Settings,
    private readonly timers: Timers,
    private readonly journal: Journal,
    private readonly connections: Connections,
    private readonly fibers: Fibers,
    /** Starts a fiber that nobody waits for. */
    start: Fork
  ) {
    this.patience = makeTimer(() => this.sever())
    this.deadline = makeTimer(() => {
      // Without a closeTimeout both are due at once, in any order.
      if (this.patience.position !== -1) this.sever()
      if (this.isOver) return
      this.isOverdue = true
      connections.destroyAll()
      start(this.leave(lastTurns), { immediate: true })
    })
  }

  /** It goes on by itself; whoever waits for it may stop waiting. */
  get end(): Effect.Effect<void> {
    return Deferred.await(this.vacancy)
  }

  begin(): void {
    const { closeTimeout, shutdownTimeout } = this.settings
    const now = this.timers.now()
    this.timers.set(this.patience, now + shutdownTimeout)
    this.timers.set(this.deadline, now + shutdownTimeout + closeTimeout)
  }

  private sever(): void {
    const { pool } = this.connections
    const { leased } = pool.count
    if (leased > 0) {
      this.connections.warn(
        `The pool closes ${leased} connection(s) under a lease that was not given back within shutdownTimeout. ` +
          "Is the scope of a get wider than that of the pool's layer? Put Effect.scoped inside of Effect.provide"
      )
    }
    pool.sever()
  }

  /** Something has ended. */
  onVacated(): void {
    const { pool } = this.connections
    if (this.isOver || this.isOverdue || pool.state === "open") return
    if (pool.slots.size > 0) return
    // The timers' own fiber sleeps until the deadline: it goes last.
    if (this.fibers.size > (this.timers.isAsleep ? 1 : 0)) return
    this.timers.stop()
    if (this.fibers.size === 0) this.vacate()
  }

  /** Past the deadline what hangs is left alone. Sockets were destroyed: they are gone in so many turns, if they ever are. */
  private leave(turns: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (turns > 0 && this.connections.hasSockets) {
        const turn = turns % turnsPerRealTurn === 0 ? realTurnOfTheLoop : turnOfTheLoop
        return Effect.andThen(turn, this.leave(turns - 1))
      }
      this.timers.stop()
      this.vacate()
      return Effect.void
    })
  }

  private vacate(): void {
    this.isOver = true
    this.journal.poolClosed(this.connections.pool)
    Deferred.doneUnsafe(this.vacancy, Effect.void)
  }
}
