/** A `LayerMap.Service` by its parts, for Effect 3. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import { Regions } from "../../examples/layer-map.3.js"

export const whole: Layer.Layer<Regions> = Regions.Default
export const withoutDependencies = Regions.DefaultWithoutDependencies

/** The regions that have a pool. */
export const open = Effect.flatMap(Regions, ({ rcMap }) => RcMap.keys(rcMap))
