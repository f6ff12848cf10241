/** The API reference: a page of Markdown for each public module, made from the docstrings. */
import { readdirSync } from "node:fs"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { type Declaration, type Docstring, type Module, namespacesOf, readModule } from "./declarations.js"

const src = fileURLToPath(new URL("../../src", import.meta.url))
const packageName = "effect-websocket-pool"
const entries = { [packageName]: "index", [`${packageName}/node`]: "node", [`${packageName}/redis`]: "redis" }

const anchorOf = (title: string): string => title.toLowerCase().replaceAll(" ", "-")

const titleOf = ({ kind, name }: Declaration): string => (kind === "const" ? name : `${name} (${kind})`)

const linkTo = (declaration: Declaration): string => anchorOf(titleOf(declaration)).replace(/[()]/g, "")

/** What a docstring must have. */
const problemsOf = ({ category, description, since }: Docstring, where: string): ReadonlyArray<string> => [
  ...(description === "" ? [`${where} has no description`] : []),
  ...(category === undefined ? [`${where} has no @category`] : []),
  ...(since === undefined ? [`${where} has no @since`] : [])
]

const problemsIn = (modules: ReadonlyArray<Module>): ReadonlyArray<string> =>
  modules.flatMap(({ declarations, doc, name }) => [
    ...problemsOf({ ...doc, category: "module" }, name),
    ...declarations.flatMap((each) => [
      ...problemsOf(each.doc, `${name}.${each.name}`),
      ...each.members.flatMap((member) =>
        problemsOf({ ...each.doc, description: member.doc.description }, `${name}.${each.name}.${member.name}`)
      )
    ])
  ])

/** What the edition for Effect 3 calls what signatures name. */
const inEffect3 = [
  ["Duration.Input", "`Duration.DurationInput`"],
  ["Config.ConfigError", "`ConfigError.ConfigError`"],
  ["Schema.SchemaError", "`ParseResult.ParseError`"],
  [
    "Encoder<A, I, R>, Decoder<A, I, R>",
    "`Schema.Schema<A, I, R>`; here they are a `Schema.Codec` used in one direction"
  ],
  ["NonEmpty<A>", "`Chunk.NonEmptyChunk<A>`; here it is an `Array.NonEmptyArray<A>`"],
  ["Context.Service<Self, Shape>", "`Context.Tag<Self, Shape>`"],
  ["Socket", "the `Socket` of `@effect/platform`; here that of `effect/socket`"],
  ["RpcClient.Protocol", "that of `@effect/rpc`; here that of `effect/rpc`"],
  ["Service", '`RpcClient.Protocol["Type"]`; here it is `RpcClient.Protocol["Service"]`'],
  [
    "Layer.Layer<never, never, HttpRouter.HttpRouter>",
    "`HttpRouter.HttpRouter` of `@effect/platform`, which is what `router` gives"
  ]
] as const

class Renderer {
  /** Where the one export of a name is, for all names that only one module has. */
  private readonly targets = new Map<string, string>()

  constructor(
    private readonly modules: ReadonlyArray<Module>,
    private readonly importOf: (module: string) => string
  ) {
    const seen = new Set<string>()
    for (const { declarations, name: module } of modules) {
      for (const each of declarations) {
        if (!/^[A-Z]/.test(each.name)) continue
        if (seen.has(each.name) && !this.targets.get(each.name)?.startsWith(`${module}.md`)) {
          this.targets.delete(each.name)
        } else if (!seen.has(each.name)) this.targets.set(each.name, `${module}.md#${linkTo(each)}`)
        seen.add(each.name)
      }
    }
  }

  /** Makes the names of other exports links. */
  private linked(text: string, own: string): string {
    return text.replace(/(?<!\[)`(\w+)`(?!\])/g, (whole, name: string) => {
      const target = this.targets.get(name)
      return target === undefined || name === own ? whole : `[${whole}](${target})`
    })
  }

  private declaration(each: Declaration): string {
    const { doc, members, name, signature } = each
    const parts = [
      `### ${titleOf(each)}`,
      this.linked(doc.description, name),
      `\`\`\`ts\n${signature}\n\`\`\``,
      ...(members.length === 0 ? [] : [members.map((member) => this.member(each, member)).join("\n\n")]),
      ...doc.examples.flatMap((example) => ["**Example**", example]),
      `Since ${doc.since}.`
    ]
    return parts.join("\n\n")
  }

  private member({ name: owner }: Declaration, { doc, name, signature }: Declaration["members"][number]): string {
    const anchor = `<a id="${owner.toLowerCase()}-${name.toLowerCase()}"></a>`
    const isLong = signature.includes("\n")
    const head = isLong
      ? `- ${anchor}**\`${name}\`**\n\n  \`\`\`ts\n  ${signature.replaceAll("\n", "\n  ")}\n  \`\`\``
      : `- ${anchor}**\`${signature}\`**`
    const text = this.linked(doc.description, owner).replaceAll(/\n(?=.)/g, "\n  ")
    return `${head}\n\n  ${text}`
  }

  module({ declarations, doc, name }: Module): string {
    const categories = new Map<string, Array<Declaration>>()
    const isMark = ({ doc }: Declaration): boolean => doc.category === "type ids"
    for (const each of [...declarations.filter((each) => !isMark(each)), ...declarations.filter(isMark)]) {
      const category = each.doc.category ?? ""
      categories.set(category, [...(categories.get(category) ?? []), each])
    }
    const contents = Array.from(categories, ([category, all]) => {
      const links = all.map((each) => `[\`${each.name}\`](#${linkTo(each)})`)
      return `- [${category}](#${anchorOf(category)}): ${links.join(", ")}`
    })
    const parts = [
      `# ${name}`,
      this.linked(doc.description, name),
      `\`\`\`ts\n${this.importOf(name)}\n\`\`\``,
      contents.join("\n"),
      ...Array.from(categories, ([category, all]) => [
        `## ${category}`,
        ...all.map((each) => this.declaration(each))
      ]).flat()
    ]
    return `${parts.join("\n\n")}\n`
  }

  index(): string {
    const rows = this.modules.map(({ doc, name }) => {
      const first = /^[^\n]*?(?:\n[^\n]+)*?[.:](?=\s|$)/.exec(doc.description)?.[0] ?? doc.description
      const sentence = first.replaceAll("\n", " ").replace(/:$/, ".")
      return `| [${name}](${name}.md) | ${sentence} | \`${/"(.*)"/.exec(this.importOf(name))?.[1]}\` |`
    })
    return [
      "# API reference",
      "Made from the docstrings by `npm run docs`; every example in it is compiled and run by the tests. New here? Begin with" +
        " the [guides](../README.md).",
      ["| module | what it is | import from |", "|---|---|---|", ...rows].join("\n"),
      "Signatures are those of the edition for Effect 4. In the edition for Effect 3 these names differ, and what they stand for" +
        " does not:",
      [
        "| here | in the edition for Effect 3 |",
        "|---|---|",
        ...inEffect3.map(([here, there]) => `| \`${here}\` | ${there} |`)
      ].join("\n"),
      `[Effect 3 and Effect 4](../guides/editions.md) has the rest. Where an example needs different code for the two, there are two` +
        " of it.",
      `Each module can be imported by itself, too: \`import * as PoolError from "${packageName}/PoolError"\`.`
    ]
      .map((part) => `${part}\n`)
      .join("\n")
  }
}

/** Every page by its name. Fails if a docstring lacks something. */
export const makeReference = (): ReadonlyMap<string, string> => {
  const origin = new Map(
    Object.entries(entries).flatMap(([specifier, file]) =>
      namespacesOf(resolve(src, `${file}.ts`)).map((name) => [name, specifier] as const)
    )
  )
  const modules = readdirSync(src)
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -".ts".length))
    .filter((name) => !Object.values(entries).includes(name))
    .sort()
    .map((name) => readModule(src, name))
  const problems = problemsIn(modules)
  if (problems.length > 0) throw new Error(problems.join("\n"))
  const renderer = new Renderer(modules, (name) => {
    const specifier = origin.get(name)
    return specifier === undefined
      ? `import * as ${name} from "${packageName}/${name}"`
      : `import { ${name} } from "${specifier}"`
  })
  return new Map([
    ["README.md", renderer.index()],
    ...modules.map((module) => [`${module.name}.md`, renderer.module(module)] as const)
  ])
}
