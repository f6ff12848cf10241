import * as Inspectable from "effect/Inspectable"
import * as ParseResult from "effect/ParseResult"
import * as AST from "effect/SchemaAST"

/**
 * Stands in a `ParseIssue` for a value that is not to be shown: payloads hold secrets, and errors end up in logs. It
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
    for (const { name } of AST.isTypeLiteral(node) ? node.propertySignatures : []) found.add(name)
    for (const part of partsOf(node)) if (seen.size < mostNodes) seen.add(part)
  }
  names.set(ast, found)
  return found
}

const partsOf = (ast: AST.AST): ReadonlyArray<AST.AST> => {
  switch (ast._tag) {
    case "TypeLiteral":
      return [...ast.propertySignatures, ...ast.indexSignatures].map(({ type }) => type)
    case "TupleType":
      return [...ast.elements, ...ast.rest].map(({ type }) => type)
    case "Union":
      return ast.types
    case "Declaration":
      return ast.typeParameters
    case "Refinement":
      return [ast.from]
    case "Transformation":
      return [ast.from, ast.to]
    case "Suspend":
      return [ast.f()]
    default:
      return []
  }
}

type Redact = (issue: ParseResult.ParseIssue) => ParseResult.ParseIssue

const redactAll = (issues: ParseResult.Composite["issues"], redact: Redact): ParseResult.Composite["issues"] => {
  if (!isList(issues)) return redact(issues)
  const [first, ...rest] = issues
  return [redact(first), ...rest.map(redact)]
}

const isList = <A>(value: ParseResult.SingleOrNonEmpty<A>): value is readonly [A, ...Array<A>] => Array.isArray(value)

const redactPath = (path: ParseResult.Path, known: ReadonlySet<PropertyKey>): ParseResult.Path => {
  const redactKey = (key: PropertyKey): PropertyKey => (typeof key === "number" || known.has(key) ? key : "<key>")
  if (!isList(path)) return redactKey(path)
  const [first, ...rest] = path
  return [redactKey(first), ...rest.map(redactKey)]
}

/**
 * The same issues without the values, and without the texts that were made of values: those of `JSON.parse` and of
 * many a schema quote what they complain about. Annotations stay; they get to see the placeholder.
 */
const redacted = (known: ReadonlySet<PropertyKey>): Redact => {
  const redact: Redact = (issue) => {
    switch (issue._tag) {
      case "Pointer":
        return new ParseResult.Pointer(redactPath(issue.path, known), hide(issue.actual), redact(issue.issue))
      case "Composite":
        return new ParseResult.Composite(issue.ast, hide(issue.actual), redactAll(issue.issues, redact))
      case "Refinement":
        return new ParseResult.Refinement(issue.ast, hide(issue.actual), issue.kind, redact(issue.issue))
      case "Transformation":
        return new ParseResult.Transformation(issue.ast, hide(issue.actual), issue.kind, redact(issue.issue))
      case "Type":
        return new ParseResult.Type(issue.ast, hide(issue.actual))
      case "Forbidden":
        return new ParseResult.Forbidden(issue.ast, hide(issue.actual))
      case "Missing":
        return new ParseResult.Missing(issue.ast)
      case "Unexpected":
        return new ParseResult.Unexpected(hide(issue.actual))
    }
  }
  return redact
}

/** The paths alone, for a schema whose annotations cannot do without a value. */
const bare = (known: ReadonlySet<PropertyKey>): Redact => {
  const redact: Redact = (issue) => {
    switch (issue._tag) {
      case "Pointer":
        return new ParseResult.Pointer(redactPath(issue.path, known), hide(issue.actual), redact(issue.issue))
      case "Composite":
        return new ParseResult.Composite(AST.unknownKeyword, hide(issue.actual), redactAll(issue.issues, redact))
      case "Refinement":
      case "Transformation":
        return redact(issue.issue)
      default:
        return plain(issue.actual, `${hide(issue.actual)} does not match`)
    }
  }
  return redact
}

const plain = (actual: unknown, message: string): ParseResult.Type =>
  new ParseResult.Type(AST.unknownKeyword, hide(actual), message)

/** The error for a value that does not match a schema. It shows where, and what was expected, but no value. */
export const mismatch = (ast: AST.AST, issue: ParseResult.ParseIssue): ParseResult.ParseError => {
  for (const redact of [redacted, bare]) {
    try {
      const shown = redact(namesIn(ast))(issue)
      // An annotation may throw, be asynchronous, or a tree too deep: whoever reads the error is not to find out.
      ParseResult.TreeFormatter.formatIssueSync(shown)
      return ParseResult.parseError(shown)
    } catch {}
  }
  return failure(issue.actual, "It does not match its schema")
}

/** The error for a value with which something is wrong that no schema tells. The message must not show the value. */
export const failure = (actual: unknown, message: string): ParseResult.ParseError =>
  ParseResult.parseError(plain(actual, message))

/** The error for a function that has thrown. Its message may quote the value, so only the kind of error is told. */
export const thrown = (what: string, actual: unknown, error: unknown): ParseResult.ParseError =>
  failure(actual, `${what} ${hide(actual)} threw ${error instanceof Error ? error.constructor.name : kindOf(error)}`)

/** The error for a schema whose effect has interrupted itself. */
export const interrupted = (what: string, actual: unknown): ParseResult.ParseError =>
  failure(actual, `${what} ${hide(actual)} interrupted itself`)
