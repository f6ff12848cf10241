import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import type { PoolEvent } from "../PoolEvent.js"
import { eventBuffer } from "./defaults.js"

/** Hands events to whoever listens. While nobody does, none is made. */
export class EventHub {
  private readonly subscribers = new Set<Mailbox.Mailbox<PoolEvent>>()
  private isOver = false

  get isObserved(): boolean {
    return this.subscribers.size > 0
  }

  emit(event: PoolEvent): void {
    if (event._tag === "PoolClosed") this.isOver = true
    for (const subscriber of this.subscribers) subscriber.unsafeOffer(event)
  }

  readonly stream: Stream.Stream<PoolEvent> = Stream.unwrapScoped(
    Effect.suspend(() => {
      if (this.isOver) return Effect.succeed(Stream.empty)
      // Not a Queue: the `unsafeOffer` of one that slides drops the latest, the end of the pool included.
      const subscribe = Effect.tap(Mailbox.make<PoolEvent>({ capacity: eventBuffer, strategy: "sliding" }), (mailbox) =>
        Effect.sync(() => {
          this.subscribers.add(mailbox)
        })
      )
      return Effect.map(
        Effect.acquireRelease(subscribe, (mailbox) => Effect.sync(() => this.subscribers.delete(mailbox))),
        (mailbox) => Stream.takeUntil(Mailbox.toStream(mailbox), (event) => event._tag === "PoolClosed")
      )
    })
  )
}
