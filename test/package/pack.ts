/**
 * Packs the package, installs the tarball in empty projects, and uses it as its users do: every subpath imported by plain Node,
 * the front door without any driver, a strict program compiled against its types and run, and the quick start on embedded engines.
 */
import { execFileSync } from "node:child_process"
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

interface Manifest {
  readonly name: string
  readonly exports: Record<string, unknown>
  readonly peerDependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
}

const root = join(import.meta.dirname, "../..")
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest
const work = mkdtempSync(join(tmpdir(), "ai-core-pack-"))

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): string => {
  try {
    return execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
  } catch (error) {
    const { stderr, stdout } = error as { stderr?: string; stdout?: string }
    throw new Error(`${[command, ...args].join(" ")}\n${stdout ?? ""}${stderr ?? ""}`, { cause: error })
  }
}

const step = <A>(title: string, body: () => A): A => {
  const start = performance.now()
  const result = body()
  console.log(`${title} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  return result
}

/** `name@version` of a peer, at the version that the repository is tested with. */
const pinned = (name: string): string => `${name}@${manifest.devDependencies[name] ?? manifest.peerDependencies[name]}`

const project = (name: string, packages: ReadonlyArray<string>): string => {
  const folder = join(work, name)
  mkdirSync(folder)
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name, private: true, type: "module" }))
  run(folder, "npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", ...packages)
  return folder
}

const importOf = (subpath: string): string => `${manifest.name}${subpath.slice(1)}`

/** Imports a module in a Node without any flag, and gives how many names it exports. */
const exportsOf = (folder: string, specifier: string): number => {
  const attributes = specifier.endsWith(".json") ? `, { with: { type: "json" } }` : ""
  const code = `console.log(Object.keys(await import(${JSON.stringify(specifier)}${attributes})).length)`
  return Number(run(folder, process.execPath, "--input-type=module", "-e", code).trim())
}

const main = (): void => {
  step("build", () => run(root, process.execPath, "tools/build.ts"))
  const tarball = step("npm pack", () => {
    const [packed] = JSON.parse(run(root, "npm", "pack", "--json", "--ignore-scripts", "--pack-destination", work)) as [
      { filename: string; size: number; files: ReadonlyArray<{ path: string }> }
    ]
    const stray = packed.files.filter(
      ({ path }) => !/^(dist|src|migrations)\/|^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(path)
    )
    if (stray.length > 0) throw new Error(`the tarball has what it should not: ${stray.map((f) => f.path).join(", ")}`)
    console.log(`  ${packed.files.length} files, ${Math.round(packed.size / 1024)} KB packed`)
    return join(work, packed.filename)
  })

  // What a user of the front door has: no driver.
  const bare = step("install without drivers", () => project("bare", [tarball, pinned("effect")]))
  const drivers = Object.keys(manifest.peerDependencies).filter((name) => name !== "effect")
  const present = drivers.filter((name) => existsSync(join(bare, "node_modules", name)))
  if (present.length > 0) throw new Error(`installed though optional: ${present.join(", ")}`)
  const driverless = [".", "./core", "./platform/postgres/memory", "./testing"]
  for (const subpath of driverless) {
    if (exportsOf(bare, importOf(subpath)) === 0) throw new Error(`${importOf(subpath)} exports nothing`)
  }
  console.log(`  ${driverless.map(importOf).join(", ")} load without any driver`)

  const engines = /^(@chdb\/|ffi-rs$)/
  const full = step("install with the drivers", () =>
    project("full", [
      tarball,
      ...[
        "effect",
        "@effect/platform-node",
        "typescript",
        "@types/node",
        ...drivers.filter((name) => !engines.test(name))
      ].map(pinned)
    ])
  )
  step("import every subpath", () => {
    for (const subpath of Object.keys(manifest.exports)) {
      const names = exportsOf(full, importOf(subpath))
      if (names === 0) throw new Error(`${importOf(subpath)} exports nothing`)
      console.log(`  ${importOf(subpath)}: ${names} names`)
    }
  })
  step("compile a strict program", () => {
    copyFileSync(join(import.meta.dirname, "consumer.ts"), join(full, "consumer.ts"))
    for (const name of ["quickstart.ts", "support"])
      cpSync(join(root, "examples", name), join(full, name), { recursive: true })
    writeFileSync(
      join(full, "everything.ts"),
      Object.keys(manifest.exports)
        .filter((subpath) => !subpath.endsWith(".json"))
        .map((subpath, i) => `import * as m${i} from "${importOf(subpath)}"\nvoid m${i}`)
        .join("\n")
    )
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
      skipLibCheck: false,
      target: "ES2024",
      module: "nodenext",
      // Effect's own declarations name types of WebCrypto.
      lib: ["ES2024", "ESNext.Disposable", "DOM"],
      types: ["node"],
      outDir: "out"
    }
    writeFileSync(
      join(full, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["consumer.ts", "everything.ts", "quickstart.ts"] })
    )
    run(full, process.execPath, "node_modules/typescript/bin/tsc", "-p", ".")
  })
  step("run it on the memory layer", () => {
    const said = run(full, process.execPath, "out/consumer.js")
    if (!said.includes("consumer: ok")) throw new Error(said)
  })
  step("run the quick start on embedded engines", () => {
    // The ClickHouse engine has hundreds of megabytes: where this platform has it, what is installed here is used.
    for (const name of ["@chdb", "ffi-rs", "@yuuang"]) {
      const installed = join(root, "node_modules", name)
      if (existsSync(installed)) symlinkSync(installed, join(full, "node_modules", name))
    }
    const said = run(full, process.execPath, "out/quickstart.js")
    for (const answer of [
      "user alicia-",
      "1000 events",
      "2 campaigns of this run with 2000 impressions",
      "hello alicia-"
    ])
      if (!said.includes(answer)) throw new Error(`not answered: ${answer}\n${said}`)
  })
}

try {
  main()
  console.log("pack: ok")
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  rmSync(work, { recursive: true, force: true })
}
