import * as Inspectable from "effect/Inspectable"
import { SchemaError } from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import * as Issue from "effect/SchemaIssue"

/**
 * Stands in an `Issue` for a value that is not to be shown: payloads hold secrets, and errors end up in logs. It
 * tells what kind of value it was.
 */
class Hidden {
  constructor(private readonly kind: string) {}

  toString(): string {
    return `<${this.kind}>`
  }

  toJSON(): unknown {
    return this.toString()
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toString()
  }
}

const kindOf = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "array"
      : value instanceof Uint8Array
        ? `binary of ${value.byteLength} bytes`
        : typeof value

const hide = (value: unknown): Hidden => new Hidden(kindOf(value))

/** With it an issue knows the value that it is about, of which the kind is shown. */
export const reporting: AST.ParseOptions = { reportInput: true }

/** Past so many nodes of a schema its names are not looked for any more: a schema may unfold without end. */
const mostNodes = 10_000

const names = new WeakMap<AST.AST, ReadonlySet<PropertyKey>>()

/** The keys that a schema names. Others come from the payload. */
const namesIn = (ast: AST.AST): ReadonlySet<PropertyKey> => {
  const known = names.get(ast)
  if (known !== undefined) return known
  const found = new Set<PropertyKey>()
  const seen = new Set<AST.AST>([ast])
  for (const node of seen) {
    for (const { name } of node._tag === "Objects" ? node.propertySignatures : []) found.add(name)
    for (const part of partsOf(node)) if (seen.size < mostNodes) seen.add(part)
  }
  names.set(ast, found)
  return found
}

const partsOf = (ast: AST.AST): ReadonlyArray<AST.AST> => {
  const encodings = ast.encoding?.map(({ to }) => to) ?? []
  switch (ast._tag) {
    case "Objects":
      return [...encodings, ...[...ast.propertySignatures, ...ast.indexSignatures].map(({ type }) => type)]
    case "Arrays":
      return [...encodings, ...ast.elements, ...ast.rest]
    case "Union":
      return [...encodings, ...ast.types]
    case "Declaration":
      return [...encodings, ...ast.typeParameters]
    case "Suspend":
      return [...encodings, ast.thunk()]
    default:
      return encodings
  }
}

/**
 * The same issue without the values, and without the texts that were made of values: those of `JSON.parse` and of
 * many a schema quote what they complain about. Annotations of the schema stay.
 */
const redacted = (known: ReadonlySet<PropertyKey>) => {
  const redactKey = (key: PropertyKey): PropertyKey => (typeof key === "number" || known.has(key) ? key : "<key>")
  const redactAll = ([first, ...rest]: readonly [Issue.Issue, ...Array<Issue.Issue>]): [
    Issue.Issue,
    ...Array<Issue.Issue>
  ] => [redact(first), ...rest.map(redact)]
  const redact = (issue: Issue.Issue): Issue.Issue => {
    const input = Issue.hasInput(issue) ? hide(issue.input) : undefined
    const options = input === undefined ? undefined : reporting
    switch (issue._tag) {
      case "Pointer":
        return new Issue.Pointer(issue.path.map(redactKey), redact(issue.issue))
      case "Composite":
        return new Issue.Composite(issue.ast, redactAll(issue.issues), input, options)
      case "AnyOf":
        return new Issue.AnyOf(issue.ast, issue.issues.map(redact), input, options)
      case "OneOf":
        return new Issue.OneOf(issue.ast, issue.successes, input, options)
      case "Filter":
        return new Issue.Filter(issue.filter, redact(issue.issue), input, options)
      case "Encoding":
        return new Issue.Encoding(issue.ast, redact(issue.issue), input, options)
      case "InvalidType":
        return new Issue.InvalidType(issue.ast, input, options)
      case "InvalidValue":
        return new Issue.InvalidValue(undefined, input, options)
      case "MissingKey":
        return issue
      case "UnexpectedKey":
        return new Issue.UnexpectedKey(issue.ast, input, options)
      case "Forbidden":
        return new Issue.Forbidden(undefined, input, options)
    }
  }
  return redact
}

/** The error for a value that does not match a schema. It shows where, and what was expected, but no value. */
export const mismatch = (ast: AST.AST, issue: Issue.Issue): SchemaError => {
  try {
    const shown = new SchemaError(redacted(namesIn(ast))(issue))
    // A tree may be too deep: whoever reads the error is not to find out.
    String(shown.message)
    return shown
  } catch {
    return failure(Issue.hasInput(issue) ? issue.input : undefined, "It does not match its schema")
  }
}

/** The error for a value with which something is wrong that no schema tells. The message must not show the value. */
export const failure = (actual: unknown, message: string): SchemaError =>
  new SchemaError(new Issue.InvalidValue({ message }, hide(actual), reporting))

/** The error for a function that has thrown. Its message may quote the value, so only the kind of error is told. */
export const thrown = (what: string, actual: unknown, error: unknown): SchemaError =>
  failure(actual, `${what} ${hide(actual)} threw ${error instanceof Error ? error.constructor.name : kindOf(error)}`)

/** The error for a schema whose effect has interrupted itself. */
export const interrupted = (what: string, actual: unknown): SchemaError =>
  failure(actual, `${what} ${hide(actual)} interrupted itself`)
