export * from "effect/Config"
export type { ConfigError } from "effect/ConfigError"

import type { Config } from "effect/Config"

export type Wrap<A> = Config.Wrap<A>
