import { callback, streamOf } from "#dialect"
import type { NonEmptyArray, NonEmptyReadonlyArray } from "#effect/Array"
import * as Effect from "#effect/Effect"
import * as Stream from "#effect/Stream"
import { eventBuffer } from "../options/defaults.js"
import type { PoolEvent } from "../values/events.js"

/** Who listens, and what it has not heard yet: the latest, if it cannot keep up. */
class Subscriber {
  private events: Array<PoolEvent> = []
  private head = 0
  private resume: ((effect: Effect.Effect<void>) => void) | undefined = undefined

  push(event: PoolEvent): void {
    const { events } = this
    events.push(event)
    if (events.length - this.head <= eventBuffer) return
    this.head += 1
    if (this.head < eventBuffer) return
    this.events = events.slice(this.head)
    this.head = 0
  }

  get isWaiting(): boolean {
    return this.resume !== undefined
  }

  wake(): void {
    const { resume } = this
    this.resume = undefined
    resume?.(Effect.void)
  }

  /** All there is, at least one. It is taken in the step that gives it on, so that no interruption can lose it. */
  readonly take: Effect.Effect<NonEmptyArray<PoolEvent>> = Effect.suspend(() => {
    const take = Effect.sync(() => {
      const events = this.head === 0 ? this.events : this.events.slice(this.head)
      this.events = []
      this.head = 0
      return events as NonEmptyArray<PoolEvent>
    })
    if (this.events.length > 0) return take
    const wait = callback<void>((resume) => {
      // The scheduler may have let others go first.
      if (this.events.length > 0) resume(Effect.void)
      else this.resume = resume
    })
    // It may be woken for what it has taken already.
    return Effect.flatMap(wait, () => this.take)
  })
}

/** Sees a pool at work at next to no cost: it gets the times of leases as numbers, and no event of their routine. */
export interface Watcher {
  /** A lease began, after a wait of so many milliseconds. */
  readonly acquired: (waited: number) => void
  /** A lease ended, after so many milliseconds. */
  readonly released: (held: number) => void
  /** A wait has failed, or was interrupted, after so many milliseconds. */
  readonly waitLost: (waited: number) => void
  /** Any other event, those of drains and dropped messages excepted. */
  readonly event: (event: PoolEvent) => void
}

/** Hands events to whoever listens. While nobody does, none is made. */
export class EventHub {
  private readonly subscribers = new Set<Subscriber>()
  /** Replaced as a whole, so that a lease can go through it without an iterator. */
  private watchers: ReadonlyArray<Watcher> = []
  private isOver = false
  private isWaking = false

  constructor(
    /** Runs something at the end of the current turn of the event loop. */
    private readonly defer: (f: () => void) => void
  ) {}

  /** Whether anybody gets events. */
  get isObserved(): boolean {
    return this.subscribers.size > 0 || this.watchers.length > 0
  }

  /** Whether anybody gets those of every lease: watchers do not. */
  get isFollowed(): boolean {
    return this.subscribers.size > 0
  }

  /** Adds a watcher, and gives what removes it. */
  watch(watcher: Watcher): () => void {
    this.watchers = [...this.watchers, watcher]
    return () => {
      this.watchers = this.watchers.filter((other) => other !== watcher)
    }
  }

  acquired(waited: number): void {
    const { watchers } = this
    for (let index = 0; index < watchers.length; index += 1) watchers[index]!.acquired(waited)
  }

  released(held: number): void {
    const { watchers } = this
    for (let index = 0; index < watchers.length; index += 1) watchers[index]!.released(held)
  }

  waitLost(waited: number): void {
    for (const watcher of this.watchers) watcher.waitLost(waited)
  }

  emit(event: PoolEvent): void {
    if (this.isOver) return
    if (event._tag === "PoolClosed") this.isOver = true
    if (this.watchers.length > 0 && !isRoutine(event)) for (const watcher of this.watchers) watcher.event(event)
    let isAwaited = false
    for (const subscriber of this.subscribers) {
      subscriber.push(event)
      isAwaited ||= subscriber.isWaiting
    }
    if (!isAwaited) return
    if (!isFrequent(event)) this.wake()
    else if (!this.isWaking) {
      // To wake a fiber costs far more than an event: what a busy pool tells all the time is told once per turn.
      this.isWaking = true
      this.defer(() => {
        this.isWaking = false
        this.wake()
      })
    }
  }

  private wake(): void {
    for (const subscriber of this.subscribers) subscriber.wake()
  }

  readonly stream: Stream.Stream<PoolEvent> = Stream.unwrap(
    Effect.suspend(() => {
      if (this.isOver) return Effect.succeed(Stream.empty)
      const subscriber = new Subscriber()
      return Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => this.subscribers.add(subscriber)),
          () => Effect.sync(() => this.subscribers.delete(subscriber))
        ),
        eventsOf(subscriber)
      )
    })
  )
}

const isRoutine = (event: PoolEvent): boolean =>
  isFrequent(event) || event._tag === "DrainStarted" || event._tag === "DrainCompleted"

const isFrequent = ({ _tag }: PoolEvent): boolean =>
  _tag === "Acquired" || _tag === "Released" || _tag === "MessageDropped"

const eventsOf = ({ take }: Subscriber): Stream.Stream<PoolEvent> => streamOf(take, () => false, isOver)

const isOver = (events: NonEmptyReadonlyArray<PoolEvent>): boolean => events.at(-1)?._tag === "PoolClosed"
