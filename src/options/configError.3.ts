import * as ConfigError from "effect/ConfigError"

/** Something is wrong with the option at a path. */
export const invalid = (path: ReadonlyArray<string>, message: string): ConfigError.ConfigError =>
  ConfigError.InvalidData([...path], message)

export const both: (first: ConfigError.ConfigError, second: ConfigError.ConfigError) => ConfigError.ConfigError =
  ConfigError.And

/**
 * The same error, which also says which pool it is about, or which other thing of a kind, when it is printed. Paths stay what they are, so that whoever
 * looks for an option finds it by its name.
 */
export const named = (name: string, error: ConfigError.ConfigError, kind = "Pool"): ConfigError.ConfigError =>
  Object.defineProperties(Object.create(Object.getPrototypeOf(error)), {
    ...Object.getOwnPropertyDescriptors(error),
    toString: { enumerable: false, value: () => `${kind} ${JSON.stringify(name)}: ${error}` }
  })

/** What is wrong with a value says what it is, which must not be seen of URLs and headers. */
export const withoutValues = (
  error: ConfigError.ConfigError,
  isSecret: (message: string) => boolean = () => true
): ConfigError.ConfigError => {
  switch (error._op) {
    case "And":
      return ConfigError.And(withoutValues(error.left, isSecret), withoutValues(error.right, isSecret))
    case "Or":
      return ConfigError.Or(withoutValues(error.left, isSecret), withoutValues(error.right, isSecret))
    case "InvalidData":
      return isSecret(error.message)
        ? ConfigError.InvalidData(error.path, "The value cannot be read, and must not be shown")
        : error
    default:
      return error
  }
}
