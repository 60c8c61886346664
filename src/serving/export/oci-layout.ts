import { createHash } from 'node:crypto'
import { copyFileSync, createWriteStream, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { z } from 'zod'
import { AppError, messageOf } from '../../kernel/errors.ts'
import { type TarEntry, tarOf } from './tar.ts'

export type ImageSetting = {
  architecture: string
  entrypoint: readonly string[]
  cmd: readonly string[]
  env: readonly string[]
  port: number
  user: string
  workingDir: string
  labels: Readonly<Record<string, string>>
}

type Descriptor = { mediaType: string; digest: string; size: number }
type Layer = { descriptor: Descriptor; diffId: string }
type Base = { layers: Layer[]; env: string[] }

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
}

/**
 * Writes an OCI image layout (image-spec 1.1) without a daemon: oci-layout, index.json, blobs/sha256. The same entries give the same bytes.
 * @param folder empty @param base a layout whose first image lies below @throws AppError BadRequest where the base is none
 */
export async function writeOciLayout(
  folder: string,
  layers: readonly (readonly TarEntry[])[],
  setting: ImageSetting,
  base?: string,
): Promise<{ digest: string }> {
  mkdirSync(join(folder, 'blobs', 'sha256'), { recursive: true })
  const below = base === undefined ? { layers: [], env: [] } : copyBase(base, folder)
  const own: Layer[] = []
  for (const entries of layers) own.push(await writeLayer(folder, entries))
  const all = [...below.layers, ...own]
  const names = new Set(setting.env.map((one) => one.split('=')[0]))
  const config = writeJson(folder, types.config, {
    architecture: setting.architecture,
    os: 'linux',
    config: {
      User: setting.user,
      ExposedPorts: { [`${setting.port}/tcp`]: {} },
      Env: [...below.env.filter((one) => !names.has(one.split('=')[0])), ...setting.env],
      Entrypoint: setting.entrypoint,
      Cmd: setting.cmd,
      WorkingDir: setting.workingDir,
      Labels: setting.labels,
      StopSignal: 'SIGTERM',
    },
    rootfs: { type: 'layers', diff_ids: all.map(({ diffId }) => diffId) },
  })
  const manifest = writeJson(folder, types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config,
    layers: all.map(({ descriptor }) => descriptor),
  })
  const platform = { architecture: setting.architecture, os: 'linux' }
  writeFileSync(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const index = { schemaVersion: 2, mediaType: types.index, manifests: [{ ...manifest, platform }] }
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index))
  return { digest: manifest.digest }
}

async function writeLayer(folder: string, entries: readonly TarEntry[]): Promise<Layer> {
  const [plain, packed] = [createHash('sha256'), createHash('sha256')]
  const beside = join(folder, 'layer.partial')
  await pipeline(
    Readable.from(tarOf(entries)),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        plain.update(chunk)
        yield chunk
      }
    },
    createGzip({ level: 6 }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        packed.update(chunk)
        yield chunk
      }
    },
    createWriteStream(beside),
  )
  const hex = packed.digest('hex')
  const path = join(folder, 'blobs', 'sha256', hex)
  renameSync(beside, path)
  const descriptor = { mediaType: types.layer, digest: `sha256:${hex}`, size: statSync(path).size }
  return { descriptor, diffId: `sha256:${plain.digest('hex')}` }
}

function writeJson(folder: string, mediaType: string, value: object): Descriptor {
  const bytes = Buffer.from(JSON.stringify(value))
  const hex = createHash('sha256').update(bytes).digest('hex')
  writeFileSync(join(folder, 'blobs', 'sha256', hex), bytes)
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
}

const descriptor = z.looseObject({
  mediaType: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.int(),
})
const indexSchema = z.object({ manifests: z.array(descriptor).min(1) })
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor) })
const configSchema = z.object({
  config: z.looseObject({ Env: z.array(z.string()).nullish() }).nullish(),
  rootfs: z.object({ diff_ids: z.array(z.string()) }),
})

function copyBase(base: string, folder: string): Base {
  const blob = ({ digest }: { digest: string }) => join(base, 'blobs', 'sha256', digest.slice(7))
  const read = <T>(path: string, schema: z.ZodType<T>): T => schema.parse(JSON.parse(readFileSync(path, 'utf8')))
  try {
    const manifest = read(blob(read(join(base, 'index.json'), indexSchema).manifests[0]!), manifestSchema)
    const config = read(blob(manifest.config), configSchema)
    const layers = manifest.layers.map((one, at) => {
      copyFileSync(blob(one), join(folder, 'blobs', 'sha256', one.digest.slice(7)))
      return {
        descriptor: { mediaType: one.mediaType, digest: one.digest, size: one.size },
        diffId: config.rootfs.diff_ids[at]!,
      }
    })
    return { layers, env: config.config?.Env ?? [] }
  } catch (cause) {
    throw new AppError(
      'BadRequest',
      `${base} is no OCI image layout: ${messageOf(cause)}.`,
      'Name a folder with index.json and blobs/, as `skopeo copy … oci:FOLDER` writes it.',
      { cause },
    )
  }
}
