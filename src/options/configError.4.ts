import * as Config from "effect/Config"
import { SourceError } from "effect/ConfigProvider"
import type * as Issue from "effect/SchemaIssue"

const withMessage = (message: string): Config.ConfigError =>
  new Config.ConfigError(
    // It is shown as what it says, without the name of its class.
    Object.defineProperty(new SourceError({ message }), "toString", { enumerable: false, value: () => message })
  )

const messageOf = ({ cause }: Config.ConfigError): string => cause.message

/** Something is wrong with the option at a path. */
export const invalid = (path: ReadonlyArray<string>, message: string): Config.ConfigError =>
  withMessage(`${path.join(".")}: ${message}`)

export const both = (first: Config.ConfigError, second: Config.ConfigError): Config.ConfigError =>
  withMessage(`${messageOf(first)}\n${messageOf(second)}`)

/** The same error, which also says which pool it is about, or which other thing of a kind. */
export const named = (name: string, error: Config.ConfigError, kind = "Pool"): Config.ConfigError =>
  withMessage(`${kind} ${JSON.stringify(name)}: ${messageOf(error)}`)

/** What is wrong with a value says what it is, which must not be seen of URLs and headers. */
export const withoutValues = (
  error: Config.ConfigError,
  isSecret: (message: string) => boolean = () => true
): Config.ConfigError =>
  (error.cause._tag === "SchemaError" && isBare(error.cause.issue)) || !isSecret(error.message)
    ? error
    : withMessage(
        `${error.cause._tag === "SchemaError" ? whereOf(error.cause.issue) : ""}The value cannot be read, and must not be shown`
      )

/** What could not be read. */
const whereOf = (issue: Issue.Issue): string =>
  issue._tag === "Pointer" ? `${issue.path.map(String).join(".")}: ` : ""

/** Whether an issue tells where something is missing, or of another type, and nothing else. */
const isBare = (issue: Issue.Issue): boolean => {
  if (Object.hasOwn(issue, "input")) return false
  switch (issue._tag) {
    case "Pointer":
    case "Encoding":
      return isBare(issue.issue)
    case "Composite":
    case "AnyOf":
      return issue.issues.every(isBare)
    case "MissingKey":
    case "InvalidType":
      return true
    default:
      return false
  }
}
