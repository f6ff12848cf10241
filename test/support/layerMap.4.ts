/** A `LayerMap.Service` by its parts, for Effect 4. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import { Regions } from "../../examples/layer-map.4.js"

export const whole: Layer.Layer<Regions> = Regions.layer
export const withoutDependencies = Regions.layerNoDeps

/** The regions that have a pool. */
export const open = Effect.flatMap(Regions, ({ rcMap }) => Effect.map(RcMap.keys(rcMap), Array.from<string>))
