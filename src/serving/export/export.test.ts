import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { exportFolder } from './export-folder.ts'
import { type ImageSetting, writeOciLayout } from './oci-layout.ts'
import type { TarEntry } from './tar.ts'

const root = new URL('../../../', import.meta.url).pathname
const fixture = join(root, 'test/fixtures/converted')
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'modelwright-export-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it('gives an example in TypeScript that runs as it stands and answers as scikit-learn does', async () => {
  const target = join(folder, 'model')
  await exportFolder(join(fixture, 'model'), target)
  // As `npm install onnxruntime-node` would.
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const said = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', join(target, 'example.ts')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const { labels, yes } = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as {
    labels: string[]
    yes: number[]
  }
  const outputs = Object.fromEntries(
    said
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  )
  expect(JSON.parse(outputs['output-0']!)).toEqual([labels[0]])
  expect(JSON.parse(outputs.probability_yes!)[0]).toBeCloseTo(yes[0]!, 6)
})

const setting: ImageSetting = {
  architecture: 'amd64',
  entrypoint: ['/bin/serve'],
  cmd: ['serve'],
  env: ['PATH=/bin'],
  port: 8080,
  user: '65534:65534',
  workingDir: '/tmp',
  labels: { 'org.opencontainers.image.title': 'm' },
}
const longName = `opt/${'long-'.repeat(30)}grün`
const layers: TarEntry[][] = [
  [
    { kind: 'folder', name: 'bin', mode: 0o755 },
    { kind: 'file', name: 'bin/serve', mode: 0o755, content: '#!/bin/sh\n' },
    { kind: 'link', name: 'bin/also', to: 'serve' },
  ],
  [{ kind: 'file', name: longName, mode: 0o644, content: 'x'.repeat(1_000) }],
]

type Descriptor = { mediaType: string; digest: string; size: number }
type Manifest = { schemaVersion: number; mediaType: string; config: Descriptor; layers: Descriptor[] }
type Config = {
  architecture: string
  os: string
  config: { Env: string[] }
  rootfs: { type: string; diff_ids: string[] }
}

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const made = async (name: string, base?: string) => {
  const path = join(folder, name)
  mkdirSync(path)
  return { path, ...(await writeOciLayout(path, layers, setting, base)) }
}

it("writes an image that keeps the image-spec's rules: every blob is what its descriptor says, every layer what its diff id says", async () => {
  const { path, digest } = await made('image')
  const blob = ({ digest: named, size }: Descriptor) => {
    const bytes = readFileSync(join(path, 'blobs', 'sha256', named.slice(7)))
    expect({ digest: sha256(bytes), size: bytes.length }).toEqual({ digest: named, size })
    return bytes
  }
  expect(JSON.parse(readFileSync(join(path, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' })
  const index = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8')) as {
    schemaVersion: number
    manifests: Descriptor[]
  }
  expect(index.schemaVersion).toBe(2)
  expect(index.manifests).toMatchObject([{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest }])
  const manifest = JSON.parse(blob(index.manifests[0]!).toString()) as Manifest
  expect(manifest).toMatchObject({
    schemaVersion: 2,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json' },
  })
  const config = JSON.parse(blob(manifest.config).toString()) as Config
  expect(config).toMatchObject({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers' } })
  expect(manifest.layers.map((layer) => sha256(gunzipSync(blob(layer))))).toEqual(config.rootfs.diff_ids)
  expect(readdirSync(join(path, 'blobs', 'sha256'))).toHaveLength(4)
})

it('writes layers that tar reads: modes, links and names of any length, owned by root', async () => {
  const { path } = await made('image')
  const index = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8')) as { manifests: Descriptor[] }
  const file = (digest: string) => join(path, 'blobs', 'sha256', digest.slice(7))
  const manifest = JSON.parse(readFileSync(file(index.manifests[0]!.digest), 'utf8')) as Manifest
  const listed = manifest.layers.map(({ digest }) =>
    execFileSync('tar', ['-tvzf', file(digest), '--numeric-owner', '--quoting-style=literal'], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    }),
  )
  expect(listed[0]).toMatch(
    /^drwxr-xr-x 0\/0 .* bin\/\nlrwxrwxrwx 0\/0 .* bin\/also -> serve\n-rwxr-xr-x 0\/0 .* bin\/serve\n$/,
  )
  expect(listed[1]).toContain(`1000 1970-01-01 00:00 ${longName}`)
})

it('gives the same bytes for the same content', async () => {
  expect((await made('one')).digest).toBe((await made('two')).digest)
})

it('builds upon an image that is given, and refuses what is none', async () => {
  const base = await made('base')
  const { path } = await made('above', base.path)
  const index = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8')) as { manifests: Descriptor[] }
  const manifest = JSON.parse(
    readFileSync(join(path, 'blobs', 'sha256', index.manifests[0]!.digest.slice(7)), 'utf8'),
  ) as Manifest
  expect(manifest.layers).toHaveLength(4)
  mkdirSync(join(folder, 'no-image'))
  writeFileSync(join(folder, 'no-image', 'index.json'), '{}')
  await expect(made('upon-nothing', join(folder, 'no-image'))).rejects.toMatchObject({ code: 'BadRequest' })
})
