export * from "effect/Config"
export {
  boolean as Boolean,
  duration as Duration,
  integer as Int,
  literal as Literal,
  number as Number,
  redacted as Redacted,
  string as String,
  url as URL
} from "effect/Config"
export type { ConfigError } from "effect/ConfigError"

import type { Config } from "effect/Config"

export type Wrap<A> = Config.Wrap<A>
