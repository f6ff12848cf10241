/** What a module exports, and what its docstrings say of it: read from the source alone. */
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import ts from "typescript"

export interface Docstring {
  /** Markdown. */
  readonly description: string
  readonly examples: ReadonlyArray<string>
  readonly category: string | undefined
  readonly since: string | undefined
}

export interface Member {
  readonly name: string
  /** Name and type. */
  readonly signature: string
  readonly doc: Docstring
}

export interface Declaration extends Member {
  readonly kind: "interface" | "type" | "class" | "const"
  readonly members: ReadonlyArray<Member>
}

export interface Module {
  readonly name: string
  readonly doc: Docstring
  readonly declarations: ReadonlyArray<Declaration>
}

const noDoc: Docstring = { description: "", examples: [], category: undefined, since: undefined }

const parseDoc = (comment: string): Docstring => {
  const lines = comment
    .replace(/^\/\*\*|\*\/$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
  const parts: Array<{ readonly tag: string; readonly lines: Array<string> }> = [{ tag: "description", lines: [] }]
  let isFenced = false
  for (const line of lines) {
    if (line.startsWith("```")) isFenced = !isFenced
    const tag = isFenced ? null : /^@(\w+) ?(.*)$/.exec(line)
    if (tag === null) parts.at(-1)?.lines.push(line)
    else parts.push({ tag: tag[1] ?? "", lines: [tag[2] ?? ""] })
  }
  const all = (tag: string): ReadonlyArray<string> =>
    parts.filter((part) => part.tag === tag).map(({ lines }) => lines.join("\n").trim())
  return {
    description: all("description")[0] ?? "",
    examples: all("example"),
    category: all("category")[0],
    since: all("since")[0]
  }
}

const docOf = (node: ts.Node): Docstring => {
  const comment = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).at(-1)
  return comment === undefined ? noDoc : parseDoc(comment.getText())
}

/** Moves what was written inside of something to the left. */
const dedent = (text: string): string => {
  const depth = Math.min(...Array.from(text.matchAll(/\n( *)\S/g), ([, indent = ""]) => indent.length))
  return Number.isFinite(depth) ? text.replaceAll(`\n${" ".repeat(depth)}`, "\n") : text
}

const typeParametersOf = (parameters: ts.NodeArray<ts.TypeParameterDeclaration> | undefined): string =>
  parameters === undefined ? "" : `<${parameters.map((each) => each.getText()).join(", ")}>`

const memberOf = (member: ts.TypeElement): Member | undefined => {
  if (ts.isMethodSignature(member)) {
    return { name: member.name.getText(), signature: member.getText(), doc: docOf(member) }
  }
  if (!ts.isPropertySignature(member) || ts.isComputedPropertyName(member.name)) return undefined
  const name = member.name.getText()
  const optional = member.questionToken === undefined ? "" : "?"
  const type = dedent(member.type?.getText() ?? "unknown")
    .replace(/^\| /, "")
    .replace(/\s*\| undefined$/, "")
    .replace(/^\((\(.*\) => .*)\)$/, "$1")
  return { name, signature: `${name}${optional}: ${type}`, doc: docOf(member) }
}

const membersOf = (members: ts.NodeArray<ts.TypeElement>): ReadonlyArray<Member> =>
  members.flatMap((member) => memberOf(member) ?? [])

const typeOfArrow = ({ parameters, type, typeParameters }: ts.ArrowFunction): string => {
  const given = parameters.map((each) =>
    each.initializer === undefined ? each.getText() : `${each.name.getText()}?: ${each.type?.getText()}`
  )
  return `${typeParametersOf(typeParameters)}(${given.join(", ")}) => ${type?.getText()}`
}

const constOf = (node: ts.VariableDeclaration, doc: Docstring): Declaration => {
  const name = node.name.getText()
  const { initializer, type } = node
  const text =
    type !== undefined
      ? type.getText()
      : initializer !== undefined && ts.isArrowFunction(initializer) && initializer.type !== undefined
        ? typeOfArrow(initializer)
        : undefined
  if (text === undefined) throw new Error(`${name} has no type annotation`)
  return { kind: "const", name, signature: `const ${name}: ${text}`, members: [], doc }
}

const declarationsOf = (statement: ts.Statement): ReadonlyArray<Declaration> => {
  const doc = docOf(statement)
  if (ts.isInterfaceDeclaration(statement)) {
    const name = statement.name.getText()
    const parents = statement.heritageClauses?.map((clause) => ` ${clause.getText()}`).join("") ?? ""
    const signature = `interface ${name}${typeParametersOf(statement.typeParameters)}${parents}`
    return [{ kind: "interface", name, signature, members: membersOf(statement.members), doc }]
  }
  if (ts.isTypeAliasDeclaration(statement)) {
    const name = statement.name.getText()
    return [{ kind: "type", name, signature: statement.getText().replace(/^export /, ""), members: [], doc }]
  }
  if (ts.isClassDeclaration(statement)) {
    const name = statement.name?.getText() ?? "default"
    const parent = statement.heritageClauses?.[0]?.types[0]
    const fields = parent?.typeArguments?.[0]
    return [
      {
        kind: "class",
        name,
        signature: `class ${name} extends ${parent?.expression.getText()}`,
        members: fields !== undefined && ts.isTypeLiteralNode(fields) ? membersOf(fields.members) : [],
        doc
      }
    ]
  }
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map((each) => constOf(each, doc))
  }
  return []
}

const isExported = (statement: ts.Statement): boolean =>
  ts.canHaveModifiers(statement) &&
  (ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false)

const parseFile = (file: string): ts.SourceFile =>
  ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true)

/** What a file exports; names that it passes on from a room included, from another face not. */
const exportsOf = (file: string): ReadonlyArray<Declaration> =>
  parseFile(file).statements.flatMap((statement) => {
    if (isExported(statement)) return declarationsOf(statement)
    if (!ts.isExportDeclaration(statement) || statement.moduleSpecifier === undefined) return []
    const from = statement.moduleSpecifier.getText().slice(1, -1)
    if (!/^(\.|#edition)\/[a-z]/.test(from) || statement.exportClause === undefined) return []
    if (!ts.isNamedExports(statement.exportClause)) return []
    const names = statement.exportClause.elements.map(({ name }) => name.text)
    const there = exportsOf(resolve(file, "..", from.replace(/\.js$/, ".ts").replace(/^#edition\/(.*)$/, "$1.4.ts")))
    return there.filter(({ name }) => names.includes(name))
  })

/** The comment at the head of a file. */
const headOf = (file: string): Docstring => {
  const comment = /^\/\*\*[\s\S]*?\*\//.exec(readFileSync(file, "utf8"))?.[0]
  return comment === undefined ? noDoc : parseDoc(comment)
}

export const readModule = (directory: string, name: string): Module => {
  const file = resolve(directory, `${name}.ts`)
  return { name, doc: headOf(file), declarations: exportsOf(file) }
}

/** The namespaces that an entry point exports. */
export const namespacesOf = (file: string): ReadonlyArray<string> =>
  Array.from(readFileSync(file, "utf8").matchAll(/^export \* as (\w+) from/gm), ([, name = ""]) => name)
