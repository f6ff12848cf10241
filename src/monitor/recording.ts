import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"
import type * as Scope from "#effect/Scope"
import type { WebSocketPool } from "../pool/api.js"
import { type Recording, TypeId } from "./api.js"
import { Recorder } from "./recorder.js"

type Pools = WebSocketPool | ReadonlyArray<WebSocketPool>

class RecordingImpl implements Recording {
  readonly [TypeId]: typeof TypeId = TypeId
  constructor(readonly recorder: Recorder) {}
}

const isList = (pools: Pools): pools is ReadonlyArray<WebSocketPool> => Array.isArray(pools)

const isRecording = (u: unknown): u is RecordingImpl => Predicate.hasProperty(u, TypeId)

/** A list of its own: what the caller does to theirs later changes nothing here. */
const recorderOf = (pools: Pools): Recorder => new Recorder(isList(pools) ? [...pools] : [pools])

export const record = (pools: Pools): Effect.Effect<Recording, never, Scope.Scope> =>
  Effect.suspend(() => {
    const recorder = recorderOf(pools)
    return Effect.as(recorder.hold, new RecordingImpl(recorder))
  })

/** That of a recording, or one that records while a page is open. */
export const recorderFor = (shown: Pools | Recording): Recorder =>
  isRecording(shown) ? shown.recorder : recorderOf(shown as Pools)
