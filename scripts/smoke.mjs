/**
 * Tries the package as its users get it: packed, looked through by the tools for packages, installed into an empty
 * project, and run in plain Node.js with the quick start of the README, with the server that it brings and against a real
 * one. The README's own commands install it with each package manager, and the edition for another major of Effect is
 * refused, or warned of.
 *
 * Run with `npm run smoke`, here and in the folder of another edition, whose package is tried then; with `-- --built` if
 * it has just been built. Everything it writes goes to one temporary folder, which it removes.
 */

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { isBuiltin } from "node:module"
import { tmpdir } from "node:os"
import { join, posix, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"
import { WebSocketServer } from "ws"

const TIMEOUT = 5 * 60_000
const RUN_TIMEOUT = 30_000

const root = fileURLToPath(new URL("..", import.meta.url))
const json = async (...path) => JSON.parse(await readFile(join(...path), "utf8"))
/** Where the edition is that is tried. */
const edition = process.cwd()
const manifest = await json(edition, "package.json")
const { name, dependencies = {}, imports = {}, peerDependencies = {} } = manifest
/** Whether what is compiled is up to date: it is not built once more then. */
const isBuilt = process.argv.includes("--built")
/** The major version of Effect that it is for. */
const [major] = /\d+/.exec(peerDependencies.effect)

// What the contract promises of the two entry points.
const namespaces = {
  [name]: [
    "WebSocketPool",
    "WebSocketConnection",
    "WebSocketTransport",
    "PoolError",
    "PoolEvent",
    "ResourcePool",
    "Multiplexer",
    "JsonRpc",
    "ConnectionQuota"
  ],
  [`${name}/node`]: ["NodeWebSocketPool", "NodeWebSocketTransport"],
  [`${name}/redis`]: ["RedisConnectionQuota"],
  [`${name}/WebSocketPoolRpc`]: ["layerProtocol", "makeProtocol"]
}

// ----------------------------------------------------------------------------
// processes
// ----------------------------------------------------------------------------

const children = new Set()

/** A child leads a process group of its own, so that ending it ends what it started (npm starts more). */
const grouped = process.platform !== "win32"

const end = (child) => {
  try {
    if (grouped) process.kill(-child.pid, "SIGKILL")
    else child.kill("SIGKILL")
  } catch {
    // It has ended already.
  }
}

/** Runs a command to its end and returns its stdout, or `all` that it printed; fails with all of that. */
const run = async (title, command, args, { all = false, cwd, env, timeout = TIMEOUT }) => {
  const child = spawn(command, args, {
    cwd,
    // What npm says is what is looked for, however quiet it was asked to be when it started this.
    env: { ...process.env, npm_config_loglevel: "notice", ...env },
    detached: grouped,
    shell: command === "npm" && !grouped,
    stdio: ["ignore", "pipe", "pipe"]
  })
  children.add(child)
  const output = { stdout: "", stderr: "" }
  for (const stream of ["stdout", "stderr"]) {
    child[stream].setEncoding("utf8").on("data", (text) => {
      output[stream] += text
    })
  }
  let expired = false
  const timer = setTimeout(() => {
    expired = true
    end(child)
  }, timeout)
  try {
    const [code, signal] = await once(child, "close")
    if (code === 0) return all ? output.stdout + output.stderr : output.stdout
    const how = expired ? `did not end within ${timeout} ms` : `ended with ${signal ?? `exit code ${code}`}`
    return assert.fail(`${title} ${how}\n${output.stdout}${output.stderr}`.trimEnd())
  } finally {
    clearTimeout(timer)
    children.delete(child)
  }
}

const node = (title, args, options) => run(title, process.execPath, args, { timeout: RUN_TIMEOUT, ...options })

// ----------------------------------------------------------------------------
// the README
// ----------------------------------------------------------------------------

/**
 * The quick start: what it sends, its programs (the first brings a server of its own, the second wants one), and the
 * commands that install what it needs, which stand below the name of the major of Effect that they are for.
 */
const readQuickStart = async () => {
  const lines = (await readFile(join(root, "README.md"), "utf8")).split("\n")
  const heading = lines.findIndex((line) => /^## Quick start\s*$/i.test(line))
  assert(heading >= 0, 'README.md has no heading "## Quick start"')
  const length = lines.slice(heading + 1).findIndex((line) => /^## /.test(line))
  const section = lines.slice(heading + 1, length < 0 ? undefined : heading + 1 + length)
  const fencesOf = (language) =>
    section.flatMap((line, open) => {
      if (line.trim() !== `\`\`\`${language}`) return []
      const close = section.indexOf("```", open)
      assert(close > open, `README.md does not close a \`\`\`${language} fence under "## Quick start"`)
      return [{ open, lines: section.slice(open + 1, close) }]
    })

  const programs = fencesOf("ts").map(({ lines }) => {
    const code = `${lines.join("\n")}\n`
    const urls = code.match(/wss?:\/\/[^"'`\s]+/g) ?? []
    assert(urls.length === 1, `a quick start is expected to name one WebSocket URL, and names ${urls.length}`)
    const message = /\.send\((["'`])(.*?)\1\)/.exec(code)?.[2]
    assert(message !== undefined, 'a quick start is expected to send a message written out, as in .send("…")')
    return { code, message, withUrl: (url) => code.replace(urls[0], url) }
  })
  assert(programs.length === 2, `README.md has ${programs.length} programs under "## Quick start", not two`)

  const labelAbove = (index) => {
    const label = section.slice(0, index).findLast((line) => /^\*\*Effect \d+\*\*/.test(line))
    return /\d+/.exec(label ?? "")?.[0]
  }
  const commands = fencesOf("sh")
    .filter(({ open }) => labelAbove(open) === major)
    .flatMap(({ lines }) => lines.map((line) => line.split(" ")))
  return { commands, programs }
}

// ----------------------------------------------------------------------------
// the package
// ----------------------------------------------------------------------------

const pack = async (folder) => {
  await mkdir(folder)
  const how = isBuilt ? ["--ignore-scripts"] : []
  await run("npm pack", "npm", ["pack", "--pack-destination", folder, ...how], { cwd: edition })
  const files = (await readdir(folder)).filter((file) => file.endsWith(".tgz"))
  assert(files.length === 1, `npm pack wrote ${files.length} files instead of one`)
  return join(folder, files[0])
}

/** What tools for packages find wrong with it. */
const lint = async (tarball) => {
  const look = async (tool, from, args) => {
    const { bin } = await json(edition, "node_modules", from, "package.json")
    await node(tool, [join(edition, "node_modules", from, bin[tool]), ...args], { cwd: edition, timeout: TIMEOUT })
  }
  await Promise.all([
    look("publint", "publint", ["run", tarball, "--strict"]),
    look("attw", "@arethetypeswrong/cli", [tarball, "--profile=esm-only", "--ignore-rules=internal-resolution-error"])
  ])
}

/** The versions of our lock file for these packages and for the peers they ask for, which npm would choose itself. */
const lockedVersions = async (...names) => {
  const { packages } = await json(edition, "package-lock.json")
  const versions = {}
  const add = (dependency) => {
    if (versions[dependency] !== undefined) return
    const locked = packages[`node_modules/${dependency}`]
    assert(locked, `package-lock.json has no ${dependency}; run npm install`)
    versions[dependency] = locked.version
    for (const peer of Object.keys(locked.peerDependencies ?? {})) {
      if (!locked.peerDependenciesMeta?.[peer]?.optional) add(peer)
    }
  }
  for (const dependency of names) add(dependency)
  return versions
}

const install = async (folder, tarball) => {
  await mkdir(folder)
  const { ws, ...locked } = await lockedVersions(
    ...Object.keys(peerDependencies),
    "@types/node", // The declarations of our Node modules stand on it.
    "ws"
  )
  const project = {
    private: true,
    type: "module",
    dependencies: { ...locked, [name]: `file:${tarball}` },
    // `ws` has to come with the package, so the project does not ask for it: it only settles the version.
    overrides: { ws }
  }
  await writeFile(join(folder, "package.json"), JSON.stringify(project, null, 2))
  await run(
    "npm install",
    "npm",
    ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline"],
    { cwd: folder }
  )
  return join(folder, "node_modules", name)
}

// ----------------------------------------------------------------------------
// package managers
// ----------------------------------------------------------------------------

/** The others than npm, as packages of the registry: the newest majors that run on every Node.js that we run on. */
const managers = { pnpm: { version: "10", bin: "bin/pnpm.cjs" }, yarn: { version: "1", bin: "bin/yarn.js" } }

/** Installs them, and tells how each is run. What they keep for themselves stays in the folder, too. */
const installManagers = async (folder) => {
  await mkdir(folder)
  const project = {
    private: true,
    dependencies: Object.fromEntries(Object.entries(managers).map(([manager, { version }]) => [manager, version]))
  }
  await writeFile(join(folder, "package.json"), JSON.stringify(project))
  await run("npm install", "npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], {
    cwd: folder
  })
  const places = ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"]
  const env = Object.fromEntries(places.map((place) => [place, join(folder, place.toLowerCase())]))
  const inNode = (manager) => [process.execPath, [join(folder, "node_modules", manager, managers[manager].bin)]]
  return {
    npm: (title, args, cwd, options) =>
      run(title, "npm", [...args, "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], {
        cwd,
        ...options
      }),
    pnpm: (title, args, cwd, options) => {
      const [command, first] = inNode("pnpm")
      const own = ["--ignore-scripts", "--store-dir", join(folder, "store")]
      return run(title, command, [...first, ...args, ...own], { cwd, env, ...options })
    },
    yarn: (title, args, cwd, options) => {
      const [command, first] = inNode("yarn")
      const own = ["--ignore-scripts", "--non-interactive", "--no-progress", "--cache-folder", join(folder, "yarn")]
      return run(title, command, [...first, ...args, ...own], { cwd, env, ...options })
    }
  }
}

const emptyProject = async (folder) => {
  await mkdir(folder)
  // Without one they would look for it in the folders above.
  await writeFile(join(folder, "package.json"), '{ "private": true }')
}

/** Follows the README in an empty folder: its command, but for where the package comes from, then its quick start. */
const followReadme = async (folder, manager, args, tarball, quickStart) => {
  await emptyProject(folder)
  const isOurs = (arg) => arg === name || arg.startsWith(`${name}@`)
  assert(args.some(isOurs), `the README's command for installing does not name ${name}: ${args.join(" ")}`)
  await manager(
    args.join(" "),
    args.map((arg) => (isOurs(arg) ? `file:${tarball}` : arg)),
    folder
  )
  const { version } = await json(folder, "node_modules", "effect", "package.json")
  assert(version.startsWith(`${major}.`), `it installs effect ${version}`)
  await runQuickStart(folder, quickStart)
}

/** An entry that stands on an optional peer says which it is where that is not installed; the others do without it. */
const checkWithoutPeer = async (cwd, entry, peer) => {
  const isThere = await json(cwd, "node_modules", peer, "package.json").then(
    () => true,
    () => false
  )
  assert(!isThere, `${peer} is installed, so nothing can be said of where it is not`)
  const code = `
    await import(${JSON.stringify(name)})
    const said = await import(${JSON.stringify(entry)}).then(() => "nothing", ({ message }) => message)
    if (!said.includes(${JSON.stringify(`'${peer}'`)})) throw new Error("expected it to name the package, got " + said)`
  await node(`import "${entry}"`, ["--input-type=module", "--eval", code], { cwd })
}

/** What each of them says of a peer dependency that is not what the package asks for. */
const complaints = { npm: /ERESOLVE/, pnpm: /unmet peer effect@/, yarn: /has incorrect peer dependency "effect@/ }

/** Installs the package beside another major of Effect: npm must refuse that, the others must warn of it. */
const installBesideAnother = async (folder, manager, run, [command], tarball) => {
  await emptyProject(folder)
  const other = major === "3" ? "4" : "3"
  const args = [command, `file:${tarball}`, `effect@${other}`]
  const installing = run(args.join(" "), args, folder, { all: true })
  const said =
    manager === "npm"
      ? await installing.then(
          () => undefined,
          ({ message }) => message
        )
      : await installing
  assert(said !== undefined, `npm installs it beside effect@${other}`)
  assert(complaints[manager].test(said), `${manager} says nothing of effect@${other}, but:\n${said}`)
}

const listFiles = async (folder) =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) =>
      relative(folder, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join("/")
    )
    .sort()

const isNodeModule = (file) => /^(transport\/)?node\b|^node/i.test(file)

/** What a file imports, statically, dynamically or as a type. */
const importedBy = (file, source) => {
  const specifiers = new Set()
  const visit = (node) => {
    const specifier =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isImportTypeNode(node)
          ? node.argument.literal
          : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
            ? node.arguments[0]
            : undefined
    if (specifier && ts.isStringLiteralLike(specifier)) specifiers.add(specifier.text)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest))
  return specifiers
}

/** Where `imports` of package.json leads, from a file of the package. */
const followImport = (file, specifier) => {
  const follow = (target) =>
    target.startsWith("./dist/") ? `./${posix.relative(posix.dirname(file), target.slice("./dist/".length))}` : target
  if (imports[specifier] !== undefined) return follow(imports[specifier])
  for (const [pattern, target] of Object.entries(imports)) {
    const [before, after] = pattern.split("*")
    if (after === "" && specifier.startsWith(before)) return follow(target.replace("*", specifier.slice(before.length)))
  }
  return specifier
}

/** Only the Node modules may import `ws` and `node:` modules, and nothing else may import the Node modules. */
const checkImports = async (dist, files) => {
  const wrong = []
  for (const file of files.filter((file) => /\.(js|d\.ts)$/.test(file))) {
    const source = await readFile(join(dist, file), "utf8")
    for (const written of importedBy(file, source)) {
      const specifier = followImport(file, written)
      if (specifier.startsWith(".")) {
        const target = posix.join(posix.dirname(file), specifier)
        if (!files.includes(target)) {
          wrong.push(`${file} imports "${specifier}", which the package does not contain`)
        } else if (!isNodeModule(file) && isNodeModule(target)) {
          wrong.push(`${file} imports "${specifier}", a Node module`)
        }
        continue
      }
      const [scope, rest] = specifier.split("/")
      const imported = scope.startsWith("@") ? `${scope}/${rest}` : scope
      const node = isBuiltin(specifier)
      if (!isNodeModule(file) && (node || imported === "ws")) {
        wrong.push(`${file} imports "${specifier}"; only the Node transport and its faces may`)
      } else if (!node && !(imported in dependencies) && !(imported in peerDependencies)) {
        wrong.push(`${file} imports "${specifier}", neither a dependency nor a peer dependency`)
      }
    }
  }
  assert(wrong.length === 0, `the packed files import what they must not:\n  ${wrong.join("\n  ")}`)
}

const checkImportable = async (cwd, specifier) => {
  const expected = namespaces[specifier] ?? []
  const code = `
    const module = await import(${JSON.stringify(specifier)})
    const missing = ${JSON.stringify(expected)}.filter((name) => !(name in module))
    if (missing.length > 0) throw new Error("it does not export " + missing.join(", "))`
  await node(`import "${specifier}"`, ["--input-type=module", "--eval", code], { cwd })
}

const checkNotImportable = async (cwd, specifiers) => {
  const code = `
    for (const specifier of ${JSON.stringify(specifiers)}) {
      const code = await import(specifier).then(() => "none: it was imported", (error) => error.code)
      if (code !== "ERR_PACKAGE_PATH_NOT_EXPORTED")
        throw new Error(specifier + ": expected ERR_PACKAGE_PATH_NOT_EXPORTED, got " + code)
    }`
  await node("import of internal modules", ["--input-type=module", "--eval", code], { cwd })
}

// ----------------------------------------------------------------------------
// the quick start
// ----------------------------------------------------------------------------

const withEchoServer = async (use) => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
  server.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
    socket.on("error", () => {})
  })
  try {
    await once(server, "listening")
    return await use(`ws://127.0.0.1:${server.address().port}`)
  } finally {
    for (const socket of server.clients) socket.terminate()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Runs the program that needs nothing as it is, and the other one against a server. */
const runQuickStart = async (cwd, { programs: [alone, second] }) => {
  const runProgram = async (file, code, message) => {
    await writeFile(join(cwd, file), code)
    const stdout = await node(file, [file], { cwd })
    assert(
      stdout === `${message}\n`,
      `${file} did not print the echo of "${message}" and nothing else, but:\n${stdout}`
    )
  }
  await runProgram("quick-start.mjs", alone.code, alone.message)
  await withEchoServer((url) => runProgram("real-server.mjs", second.withUrl(url), second.message))
}

/**
 * Type-checks the quick start, and every public module of the package, its declarations included: `skipLibCheck` is off,
 * and what other packages' declarations lack is left out. The types of `ws` and of a browser are not installed here, so
 * ours cannot lean on them.
 */
const typeCheck = async (cwd, quickStart, specifiers) => {
  const sources = {
    "quick-start.ts": quickStart.programs[0].code,
    "real-server.ts": quickStart.programs[1].code,
    "modules.ts": specifiers.map((specifier, index) => `export * as module${index} from "${specifier}"\n`).join("")
  }
  for (const [file, source] of Object.entries(sources)) await writeFile(join(cwd, file), source)
  const { options, errors } = ts.convertCompilerOptionsFromJson(
    {
      target: "ES2022",
      lib: ["ES2023"],
      module: "NodeNext",
      moduleResolution: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      typeRoots: ["node_modules/@types"],
      types: ["node"]
    },
    cwd
  )
  const program = ts.createProgram({ rootNames: Object.keys(sources).map((file) => join(cwd, file)), options })
  const diagnostics = [...errors, ...ts.getPreEmitDiagnostics(program)].filter(({ file }) => {
    const path = file?.fileName ?? ""
    return !path.includes("/node_modules/") || path.includes(`/node_modules/${name}/`)
  })
  const host = { getCanonicalFileName: (file) => file, getCurrentDirectory: () => cwd, getNewLine: () => "\n" }
  assert(diagnostics.length === 0, `they do not type-check:\n${ts.formatDiagnostics(diagnostics, host).trimEnd()}`)
}

// ----------------------------------------------------------------------------
// all of it
// ----------------------------------------------------------------------------

let temporary
let stopped = false
const cleanUp = async () => {
  for (const child of children) end(child)
  if (temporary !== undefined) await rm(temporary, { recursive: true, force: true, maxRetries: 3 })
}

const stop = async (message) => {
  stopped = true
  console.error(message)
  await cleanUp()
  process.exit(1)
}
const deadline = setTimeout(() => stop(`smoke: not done within ${TIMEOUT / 1000} s`), TIMEOUT)
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop(`smoke: ended by ${signal}`))

const step = async (title, effect) => {
  const start = performance.now()
  const result = await effect()
  console.log(`ok  ${title} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  return result
}

try {
  temporary = await mkdtemp(join(tmpdir(), "smoke-"))
  const project = join(temporary, "project")

  const quickStart = await step("the README has a quick start", readQuickStart)
  const tarball = await step("the package packs", () => pack(join(temporary, "pack")))
  await step("publint and attw find nothing wrong with it", () => lint(tarball))
  const installed = await step("it installs into an empty project", () => install(project, tarball))

  const there = await readdir(installed)
  assert.deepEqual(
    manifest.files.filter((file) => !there.includes(file)),
    [],
    "files that package.json announces, and are missing"
  )

  const dist = join(installed, "dist")
  const files = await listFiles(dist)
  const modules = files.filter((file) => file.endsWith(".js")).map((file) => file.slice(0, -".js".length))
  // Public modules lie on top, everything else in a folder.
  const internal = modules.filter((module) => module.includes("/"))
  const specifiers = modules
    .filter((module) => !module.includes("/"))
    .map((module) => (module === "index" ? name : `${name}/${module}`))
  for (const entry of Object.keys(namespaces)) {
    assert(specifiers.includes(entry), `the package has no module for "${entry}"`)
  }

  await step("only its Node modules import ws and node: modules", () => checkImports(dist, files))
  await step(`its ${specifiers.length} public modules import, each on its own`, () =>
    Promise.all(specifiers.map((specifier) => checkImportable(project, specifier)))
  )
  await step("its internal modules are closed", () =>
    checkNotImportable(
      project,
      ["internal/x", "monitor/x", ...internal].map((module) => `${name}/${module}`)
    )
  )
  await step("the quick start runs and prints the echo", () => runQuickStart(project, quickStart))
  await step("the quick start and all declarations type-check", () => typeCheck(project, quickStart, specifiers))

  const { commands } = quickStart
  const named = commands.map(([manager]) => manager)
  assert.deepEqual(named, ["npm", "pnpm", "yarn"], `the README installs with ${named.join(", ")}`)
  const runs = await step("pnpm and yarn install", () => installManagers(join(temporary, "managers")))
  for (const [manager, ...args] of commands) {
    await step(`the README holds with ${manager}`, () =>
      followReadme(join(temporary, manager), runs[manager], args, tarball, quickStart)
    )
    if (manager === "npm" && "@effect/rpc" in peerDependencies) {
      await step("its entry for RPC asks for @effect/rpc where that is not installed", () =>
        checkWithoutPeer(join(temporary, manager), `${name}/WebSocketPoolRpc`, "@effect/rpc")
      )
    }
    await step(`${manager} ${manager === "npm" ? "refuses" : "warns of"} another major of Effect`, () =>
      installBesideAnother(join(temporary, `${manager}-other`), manager, runs[manager], args, tarball)
    )
  }
} catch (error) {
  if (!stopped)
    console.error(`smoke: ${error instanceof assert.AssertionError ? error.message : (error?.stack ?? error)}`)
  process.exitCode = 1
} finally {
  clearTimeout(deadline)
  await cleanUp()
}
