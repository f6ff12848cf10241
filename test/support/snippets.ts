/**
 * The TypeScript of the docs: what is in fences of Markdown files, and in the `@example`s of the sources. See
 * "Writing docs" in CONTRIBUTING.md for what may stand around a snippet.
 */
import { dirname, resolve } from "node:path"
import { format } from "node:util"
import ts from "typescript"
import { edition, tsconfig } from "#support/edition"
import { type Fence, parse, read, root, sourceOf } from "./markdown.js"

export interface Snippet {
  /** Where it is: the file, and the line of its first line. */
  readonly file: string
  readonly line: number
  /** What a reader sees. */
  readonly code: string
  /** What it is compiled with, before it. */
  readonly preamble: string
  /** What is done with it besides. */
  readonly kind: "compiled" | "run" | "test"
  /** What it has to log. */
  readonly output: string | undefined
}

export const nameOf = ({ file, line }: Snippet): string => `${file}:${line}`

const isTypeScript = (language: string): boolean => language === "ts" || language === "typescript"

const importsIn = (code: string): ReadonlyArray<ts.ImportDeclaration> =>
  ts.createSourceFile("snippet.ts", code, ts.ScriptTarget.Latest, true).statements.filter(ts.isImportDeclaration)

/** A statement for each name that is imported. */
const importsOf = (code: string): ReadonlyMap<string, string> => {
  const imports = new Map<string, string>()
  for (const { importClause, moduleSpecifier } of importsIn(code)) {
    const add = (name: ts.Identifier, text: string): void => {
      const keyword = importClause?.isTypeOnly === true ? "import type" : "import"
      imports.set(name.text, `${keyword} ${text} from ${moduleSpecifier.getText()}\n`)
    }
    if (importClause?.name !== undefined) add(importClause.name, importClause.name.text)
    const bindings = importClause?.namedBindings
    if (bindings === undefined) continue
    if (ts.isNamespaceImport(bindings)) add(bindings.name, bindings.getText())
    else for (const element of bindings.elements) add(element.name, `{ ${element.getText()} }`)
  }
  return imports
}

const withoutImports = (code: string): string =>
  importsIn(code).reduce((rest, statement) => rest.replace(`${statement.getText()}\n`, ""), code)

/** What the comments behind calls of `console.log` say that these log. */
const loggedIn = (code: string): string | undefined => {
  const lines = Array.from(code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm), ([, text]) => `${text}\n`)
  return lines.length === 0 ? undefined : lines.join("")
}

/** Whether it is shown to the users of the edition that is tested. */
const isHere = ({ edition: own }: Fence): boolean => own === undefined || own === edition

/** The snippets of a page for this edition. Those that show a file of `examples/` are not among them: it has tests of its own. */
export const snippetsOfPage = (file: string): ReadonlyArray<Snippet> => {
  const fences = parse(read(file)).fences.filter(isHere)
  const above = new Map<string, string>()
  let before = ""
  return fences.flatMap((fence, index): ReadonlyArray<Snippet> => {
    if (!isTypeScript(fence.language) || sourceOf(fence) !== undefined) return []
    const { code, comments, line } = fence
    const hidden = comments
      .filter((comment) => /^ts\n/.test(comment))
      .map((comment) => `${comment.slice(3)}\n`)
      .join("")
    for (const [name, statement] of importsOf(hidden)) above.set(name, statement)
    const shown = (comments.includes("continues") ? before : "") + withoutImports(hidden) + code
    const own = importsOf(shown)
    const missing = Array.from(above)
      .filter(([name]) => !own.has(name) && new RegExp(`\\b${name}\\b`).test(shown))
      .map(([, statement]) => statement)
    const preamble = missing.join("") + shown.slice(0, shown.length - code.length)
    for (const [name, statement] of importsOf(code)) above.set(name, statement)
    before = preamble + code
    const next = fences[index + 1]
    const output = next?.follows === true && next.language === "text" ? next.code : loggedIn(code)
    const kind = comments.includes("run") ? "run" : comments.includes("test") ? "test" : "compiled"
    return [{ file, line, code, preamble, kind, output }]
  })
}

/** The `@example`s of a source file for this edition: each is run. */
export const examplesOf = (file: string): ReadonlyArray<Snippet> => {
  const source = read(file)
  return Array.from(source.matchAll(/^( *)\* @example\n((?: *\*(?! @).*\n)*)/gm)).flatMap((match) => {
    const { fences } = parse((match[2] ?? "").replace(/^ *\* ?/gm, ""))
    const first = source.slice(0, match.index).split("\n").length + 1
    return fences.filter(isHere).map(({ code, line }): Snippet => {
      return { file, line: first + line - 1, code, preamble: "", kind: "run", output: loggedIn(code) }
    })
  })
}

// Compiling

const optionsOfProject = (): ts.CompilerOptions => {
  const file = resolve(root, tsconfig)
  const { config } = ts.readConfigFile(file, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, dirname(file))
  return { ...options, noUnusedLocals: false, noUnusedParameters: false }
}

/** Compiles all of them in one program, and says what is wrong with them, in terms of the files they are from. */
export const problemsOf = async (snippets: ReadonlyArray<Snippet>): Promise<ReadonlyArray<string>> => {
  const sources = new Map(
    snippets.map((snippet): [string, Snippet] => [`${resolve(root, snippet.file)}.${snippet.line}.ts`, snippet])
  )
  const options = optionsOfProject()
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile, readFile } = host
  const textOf = (name: string): string | undefined => {
    const snippet = sources.get(name)
    return snippet && snippet.preamble + snippet.code
  }
  host.fileExists = (name) => sources.has(name) || fileExists(name)
  host.readFile = (name) => textOf(name) ?? readFile(name)
  host.getSourceFile = (name, languageVersion, ...rest) => {
    const text = textOf(name)
    return text === undefined
      ? getSourceFile(name, languageVersion, ...rest)
      : ts.createSourceFile(name, text, languageVersion, true)
  }
  const program = ts.createProgram([...sources.keys()], options, host)
  const problems: Array<string> = []
  for (const [name, snippet] of sources) {
    // All at once takes so long on a busy machine that the test runner gives this process up.
    await new Promise(setImmediate)
    const file = program.getSourceFile(name)
    const hidden = snippet.preamble.split("\n").length - 1
    for (const { messageText, start = 0 } of [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file)
    ]) {
      const line = (file?.getLineAndCharacterOfPosition(start).line ?? 0) - hidden
      const where = line < 0 ? `${nameOf(snippet)}, hidden` : `${snippet.file}:${snippet.line + line}`
      problems.push(`${where}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`)
    }
  }
  return problems
}

// Running

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor

/** `runPromise` and the like, whose promises are waited for when the snippet has come to its end. */
const tracking = (effect: Record<string, unknown>, running: Array<Promise<unknown>>): Record<string, unknown> => {
  const track =
    (run: unknown) =>
    (...args: ReadonlyArray<unknown>): unknown => {
      const promise: Promise<unknown> = (run as (...args: ReadonlyArray<unknown>) => Promise<unknown>)(...args)
      running.push(promise)
      return promise
    }
  return { ...effect, runPromise: track(effect.runPromise) }
}

/** Runs a snippet in this process, and gives what it has logged. */
export const run = async ({ code, preamble }: Snippet): Promise<string> => {
  const source = preamble + code
  const running: Array<Promise<unknown>> = []
  const modules = new Map<string, unknown>()
  for (const { fileName } of ts.preProcessFile(source).importedFiles) {
    const module: Record<string, unknown> = { ...(await import(fileName)), __esModule: true }
    if (fileName === "effect") module.Effect = tracking(module.Effect as Record<string, unknown>, running)
    modules.set(fileName, module)
  }
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true }
  })
  const logged: Array<string> = []
  const { log } = console
  console.log = (...args: ReadonlyArray<unknown>) => {
    // What the library logs is no part of what a snippet shows.
    if (!/^timestamp=|^\[\d\d:\d\d:\d\d/.test(String(args[0]))) logged.push(`${format(...args)}\n`)
  }
  try {
    await new AsyncFunction("require", "exports", outputText)((name: string) => modules.get(name), {})
    await Promise.all(running)
  } finally {
    console.log = log
  }
  return logged.join("")
}
