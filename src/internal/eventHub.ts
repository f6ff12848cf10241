import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { PoolEvent } from "../PoolEvent.js"
import { eventBuffer } from "./defaults.js"

/** Hands events to whoever listens. While nobody does, none is made. */
export class EventHub {
  private readonly subscribers = new Set<Queue.Queue<PoolEvent>>()
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
      const subscribe = Effect.tap(Queue.sliding<PoolEvent>(eventBuffer), (queue) =>
        Effect.sync(() => {
          this.subscribers.add(queue)
        })
      )
      return Effect.map(
        Effect.acquireRelease(subscribe, (queue) => Effect.sync(() => this.subscribers.delete(queue))),
        (queue) => Stream.takeUntil(Stream.fromQueue(queue), (event) => event._tag === "PoolClosed")
      )
    })
  )
}
