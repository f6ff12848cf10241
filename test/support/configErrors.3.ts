/** What a `ConfigError` tells, for Effect 3. */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Layer from "effect/Layer"

export const isConfigError: (u: unknown) => boolean = ConfigError.isConfigError

/** The options that an error names. */
export const namesIn = (error: ConfigError.ConfigError): ReadonlyArray<string> => {
  if (error._op === "And" || error._op === "Or") return [...namesIn(error.left), ...namesIn(error.right)]
  return [error.path.join(".")]
}

/** Whether something is missing, and nothing wrong. */
export const isMissing: (error: ConfigError.ConfigError) => boolean = ConfigError.isMissingData

/** How an error shows what is wrong with an option, up to the end of the message if that is told. */
export const problemWith = (option: string, message: string): string => `${option}: "${message}`
export const endOf = (message: string): string => `${message}")`
export const beginningFor = (pool: string): string => `Pool "${pool}": (Invalid data at `

/** A list of texts, and one text that has to be this one. */
export const texts = (name: string) => Config.array(Config.string(), name)
export const onlyText = <const Text extends string>(text: Text, name: string) => Config.literal(text)(name)

/** A layer for what it does. */
export const discard: <A, E, R>(layer: Layer.Layer<A, E, R>) => Layer.Layer<never, E, R> = Layer.discard
