import * as Effect from "#effect/Effect"

interface Waiter<A> {
  readonly resume: (item: Effect.Effect<A>) => void
  next: Waiter<A> | undefined
}

/**
 * The least that it costs to share items among fibers: a list of what is free, and a line of those who wait. It is no
 * pool: what is given to a fiber that was interrupted meanwhile is lost, nothing is opened, checked, bounded or counted.
 */
export class Line<A> {
  private first: Waiter<A> | undefined
  private last: Waiter<A> | undefined
  private readonly free: Array<A>
  /** How many wait. */
  length = 0

  constructor(items: Iterable<A>) {
    this.free = [...items]
  }

  private readonly wait = Effect.callback<A>((resume) => {
    const waiter: Waiter<A> = { resume, next: undefined }
    if (this.last === undefined) this.first = waiter
    else this.last.next = waiter
    this.last = waiter
    this.length += 1
  })

  use<B, E>(f: (item: A) => Effect.Effect<B, E>): Effect.Effect<B, E> {
    const hold = (item: A) =>
      Effect.map(f(item), (value) => {
        this.give(item)
        return value
      })
    return Effect.suspend(() => (this.free.length > 0 ? hold(this.free.pop()!) : Effect.flatMap(this.wait, hold)))
  }

  /** The same, with the region that gives an item back whatever its holder comes to. */
  useSafely<B, E>(f: (item: A) => Effect.Effect<B, E>): Effect.Effect<B, E> {
    return Effect.uninterruptibleMask((restore) => {
      const hold = (item: A) =>
        Effect.matchCauseEffect(restore(f(item)), {
          onFailure: (cause) => {
            this.give(item)
            return Effect.failCause(cause)
          },
          onSuccess: (value) => {
            this.give(item)
            return Effect.succeed(value)
          }
        })
      return this.free.length > 0 ? hold(this.free.pop()!) : Effect.flatMap(restore(this.wait), hold)
    })
  }

  private give(item: A): void {
    const { first } = this
    if (first === undefined) {
      this.free.push(item)
      return
    }
    this.length -= 1
    this.first = first.next
    if (this.first === undefined) this.last = undefined
    first.resume(Effect.succeed(item))
  }
}
