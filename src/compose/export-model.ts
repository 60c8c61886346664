import { execFile } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import packageFacts from '../../package.json' with { type: 'json' }
import { AppError, messageOf } from '../kernel/errors.ts'
import {
  exportFolder,
  folderEntries,
  pythonFolder,
  readMlmodel,
  type TarEntry,
  tarOf,
  writeOciLayout,
} from '../serving/serve/index.ts'
import { type ConvertSettings, convertToOnnx } from './convert.ts'
import { findLocalModel, type LocalModelParts } from './local-model.ts'

export type ExportSettings = Omit<ConvertSettings, 'output'> & {
  /** A folder for the graph, its signature and examples. */
  folder?: string
  /** An OCI image layout: a folder, or a file that ends in .tar. */
  oci?: string
  /** An OCI image layout to build upon; else the image holds Node's own libraries of this machine. */
  base?: string
}

export type Exported = { name: string; version: string; folder?: string; oci?: { path: string; digest: string } }

/** Gives a model to other software. A model that is not ONNX is converted first. @throws AppError ConversionRefused */
export async function exportModel(settings: ExportSettings, parts: LocalModelParts): Promise<Exported> {
  const { cwd } = parts
  const targets = [settings.folder, settings.oci].flatMap((one) => (one === undefined ? [] : [resolve(cwd, one)]))
  const taken = targets.find((path) => existsSync(path))
  if (taken) throw new AppError('Conflict', `${taken} is there already.`, 'Name one that is not there yet.')
  if (targets.length === 0)
    throw new AppError('BadRequest', 'It is not said what to write.', 'Name a folder, or an image with --oci.')
  const scratch = mkdtempSync(join(tmpdir(), 'modelwright-export-'))
  try {
    const { folder: graph, name, version } = await onnxFolder(settings, scratch, parts)
    if (settings.folder !== undefined) await exportFolder(graph, resolve(cwd, settings.folder))
    const oci = settings.oci === undefined ? undefined : await image(graph, name, version, settings, parts)
    return {
      name,
      version,
      ...(settings.folder === undefined ? {} : { folder: resolve(cwd, settings.folder) }),
      ...(oci ? { oci } : {}),
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function onnxFolder(settings: ExportSettings, scratch: string, parts: LocalModelParts) {
  const found = await findLocalModel(settings.model, join(scratch, 'model'), settings, parts)
  if (readMlmodel(found.folder).onnxFile) return found
  const { folder } = await convertToOnnx({ ...settings, model: found.folder, output: join(scratch, 'onnx') }, parts)
  return { ...found, folder }
}

async function image(model: string, name: string, version: string, settings: ExportSettings, { cwd }: LocalModelParts) {
  const path = resolve(cwd, settings.oci!)
  const beside = `${path}.partial`
  rmSync(beside, { recursive: true, force: true })
  mkdirSync(beside, { recursive: true })
  try {
    const root = dirname(pythonFolder().replace(/\/$/, ''))
    const program = programEntries(root)
    const runtime: TarEntry[] = [
      ...folders('usr', 'usr/local', 'usr/local/bin'),
      { kind: 'copy', name: 'usr/local/bin/node', mode: 0o755, from: process.execPath },
      ...(settings.base === undefined ? await machineFiles(program) : []),
    ]
    const served = [...folders('opt', 'opt/ml'), ...folderEntries(model, 'opt/ml/model')]
    const { digest } = await writeOciLayout(
      beside,
      [runtime, [...folders('opt'), ...program], served],
      {
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        entrypoint: [
          '/usr/local/bin/node',
          '--disable-warning=ExperimentalWarning',
          `/opt/modelwright/${mainOf(root)}`,
        ],
        // What SageMaker, too, starts a container with; the model lies where it puts it.
        cmd: ['serve'],
        env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/tmp', 'ORT_DISABLE_TELEMETRY=1'],
        port: 8080,
        user: '65534:65534',
        workingDir: '/tmp',
        labels: { 'org.opencontainers.image.title': name, 'org.opencontainers.image.version': version },
      },
      settings.base === undefined ? undefined : resolve(cwd, settings.base),
    )
    if (path.endsWith('.tar')) {
      await pipeline(
        Readable.from(tarOf(folderEntries(beside, '.').slice(1).map(belowRoot))),
        createWriteStream(`${path}.whole`),
      )
      renameSync(`${path}.whole`, path)
    } else renameSync(beside, path)
    return { path, digest }
  } finally {
    rmSync(beside, { recursive: true, force: true })
  }
}

const belowRoot = (entry: TarEntry): TarEntry => ({ ...entry, name: entry.name.replace(/^\.\//, '') })

const folders = (...names: string[]): TarEntry[] => names.map((name) => ({ kind: 'folder', name, mode: 0o755 }))

const mainOf = (root: string): string =>
  import.meta.url.includes('/dist/') || !existsSync(join(root, 'src', 'main.ts')) ? 'dist/main.js' : 'src/main.ts'

/** This program as it runs here, and the packages that it needs, for Linux on this processor alone. */
function programEntries(root: string): TarEntry[] {
  const code = mainOf(root).startsWith('dist') ? 'dist' : 'src'
  const foreign = /(^|\/)(bin\/napi-v\d+\/(darwin|win32)|test|tests|docs)(\/|$)|\.(map|md|d\.ts|test\.ts)$/
  const otherArch = new RegExp(`bin/napi-v\\d+/linux/(?!${process.arch})`)
  const wanted = (path: string) => !foreign.test(path) && !otherArch.test(path)
  const packages = closure(
    root,
    Object.keys(packageFacts.dependencies).filter((name) => name !== 'node'),
  )
  const scopes = new Set(packages.filter((name) => name.startsWith('@')).map((name) => name.split('/')[0]!))
  return [
    ...folders(
      'opt/modelwright',
      'opt/modelwright/node_modules',
      ...[...scopes].map((scope) => `opt/modelwright/node_modules/${scope}`),
    ),
    ...folderEntries(join(root, code), `opt/modelwright/${code}`, (path) => !/\.(map|test\.ts)$/.test(path)),
    ...folderEntries(join(root, 'python'), 'opt/modelwright/python', (path) => !path.includes('__pycache__')),
    { kind: 'copy', name: 'opt/modelwright/package.json', mode: 0o644, from: join(root, 'package.json') },
    ...packages.flatMap((name) =>
      folderEntries(join(root, 'node_modules', name), `opt/modelwright/node_modules/${name}`, wanted),
    ),
  ]
}

const packageFile = z.object({
  dependencies: z.record(z.string(), z.string()).nullish(),
  optionalDependencies: z.record(z.string(), z.string()).nullish(),
})

/** Packages and what they need; those that are not installed are optional and of other machines. */
function closure(root: string, names: readonly string[]): string[] {
  const found = new Set<string>()
  const left = [...names]
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    const path = join(root, 'node_modules', name, 'package.json')
    if (found.has(name) || !existsSync(path)) continue
    found.add(name)
    const { dependencies, optionalDependencies } = packageFile.parse(JSON.parse(readFileSync(path, 'utf8')))
    left.push(...Object.keys(dependencies ?? {}), ...Object.keys(optionalDependencies ?? {}))
  }
  return [...found].sort()
}

/** The loader and the shared libraries of Node and of the native packages, as they are on this machine; a folder for what is temporary. */
async function machineFiles(program: readonly TarEntry[]): Promise<TarEntry[]> {
  const natives = program.flatMap((entry) =>
    entry.kind === 'copy' && /\.node$|\.so(\.\d+)*$/.test(entry.name) ? [entry.from] : [],
  )
  const paths = new Set<string>()
  for (const binary of [process.execPath, ...natives]) for (const path of await librariesOf(binary)) paths.add(path)
  const own = [...paths].filter((path) => !program.some((entry) => entry.kind === 'copy' && entry.from === path))
  const parents = new Set(
    own.flatMap((path) =>
      path
        .split('/')
        .slice(1, -1)
        .map((_, at, all) => all.slice(0, at + 1).join('/')),
    ),
  )
  return [
    ...[...parents].filter((name) => name !== 'usr').map((name): TarEntry => ({ kind: 'folder', name, mode: 0o755 })),
    ...own.map((path): TarEntry => ({ kind: 'copy', name: path.slice(1), mode: 0o755, from: path })),
    { kind: 'folder', name: 'tmp', mode: 0o1777 },
    ...folders('etc'),
    { kind: 'file', name: 'etc/passwd', mode: 0o644, content: 'nobody:x:65534:65534:nobody:/tmp:/bin/false\n' },
  ]
}

async function librariesOf(binary: string): Promise<string[]> {
  try {
    const { stdout } = await promisify(execFile)('ldd', [binary])
    return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]!)
  } catch (cause) {
    throw new AppError(
      'NotYetSupported',
      `What ${binary} needs of this machine cannot be found: ${messageOf(cause).slice(0, 300)}`,
      'Name an image to build upon with --base.',
      { cause },
    )
  }
}
