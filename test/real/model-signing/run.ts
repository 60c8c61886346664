// A version's signature and bills of materials, as the server gives them, under the tools that others read them with.
import { spawnSync } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { SecretBox } from '../../../src/access/index.ts'
import { MemoryObjectStore } from '../../../src/adapters/objects/memory/memory-object-store.ts'
import { ArtifactService } from '../../../src/artifacts/index.ts'
import { openDatabase, transact } from '../../../src/db/index.ts'
import { digestOf } from '../../../src/kernel/digest.ts'
import { AppError } from '../../../src/kernel/errors.ts'
import { buildManifest, parseManifest } from '../../../src/promotions/manifest.ts'
import { ProvenanceService, ProvenanceStore } from '../../../src/provenance/index.ts'
import { RegistryService } from '../../../src/registry/index.ts'

const here = import.meta.dirname
const cache =
  process.env.MODELWRIGHT_TEST_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'modelwright-test')
const required = (process.env.REQUIRE ?? '').split(',').includes('model-signing')

const python = environment()
if ('reason' in python) {
  console.log(`model-signing: ${required ? 'failed' : 'skipped'}: ${python.reason}`)
  process.exitCode = required ? 1 : 0
} else {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-signing-'))
  try {
    await writeAll(folder)
    const { status } = spawnSync(python.path, ['-W', 'ignore', join(here, 'checks.py'), folder], { stdio: 'inherit' })
    process.exitCode = status ?? 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A version in a database and store of its own, and all that the server says of it. */
async function writeAll(folder: string): Promise<void> {
  const clock = { now: () => 1_772_400_000_000, sleep: async () => {} }
  const db = await openDatabase(':memory:')
  const objects = new MemoryObjectStore()
  const artifacts = new ArtifactService({ db, clock, objects })
  const registry = new RegistryService({ db, clock })
  const model = join(folder, 'model')
  mkdirSync(join(model, 'data'), { recursive: true })
  writeFileSync(join(model, 'MLmodel'), 'flavors: {}\n')
  writeFileSync(join(model, 'data', 'weights.bin'), randomBytes(100_000))
  writeFileSync(join(model, 'data', 'grüße.txt'), 'Upper case comes before lower case\n')
  writeFileSync(join(model, 'Zeta'), '')
  const lock = digestOf('lock')
  const { text, digest } = buildManifest({
    ...{ project: 'tumour', model: 'tumour-classifier', commit: 'c'.repeat(40) as never, execution: 'e1' as never },
    ...{ run: 'a'.repeat(32) as never, loggedModelId: 'm-1' as never, contentDigest: digestOf('content') },
    modelTree: (await artifacts.storeFolder(model)).digest,
    ...{ data: { biopsies: digestOf('rows') }, environmentLock: lock, params: { train: { depth: 3 } }, seed: 7 },
    ...{ columns: [], createdAt: clock.now(), verdict: { id: 'v', outcome: 'pass', digest: digestOf('verdict') } },
  })
  await objects.put(text, digest)
  const source = {
    source: 'models:/m-1',
    origin: 'modelwright',
    project: 'tumour',
    contentDigest: digestOf('content'),
  } as const
  await transact(db, (tx) =>
    registry.registerVersion(tx, { model: 'tumour-classifier', manifestDigest: digest, ...source } as never),
  )
  const requirements = `numpy==2.0.0 \\\n    --hash=sha256:${'a'.repeat(64)}\nown @ https://example.org/own-1.0-py3-none-any.whl\n`
  const provenance = new ProvenanceService({
    store: new ProvenanceStore(db, new SecretBox(randomBytes(32))),
    ...{ clock, registry, artifacts },
    promotions: {
      manifestOf: async (named) => parseManifest(new TextDecoder().decode(await objects.read(named)), named),
    },
    executions: {
      get: async () => {
        throw new AppError('NotFound', 'It was deleted.', 'Look elsewhere.')
      },
    },
    locks: { byDigest: async () => ({ digest: lock, pythonVersion: '3.11.7', requirements }) },
  })
  const write = (name: string, content: unknown) =>
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  write('model.sig', (await provenance.signature(digest, 'model')).bundle)
  write('making.sig', (await provenance.signature(digest, 'making')).bundle)
  write('key.pem', await provenance.publicKey())
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
  write('other-key.pem', other.export({ type: 'spki', format: 'pem' }))
  write('bom.json', await provenance.billOfMaterials(digest, 'cyclonedx'))
  write('bom.spdx.json', await provenance.billOfMaterials(digest, 'spdx'))
  await artifacts.settler.stop()
  await db.destroy()
}

/** Made once per list of packages. */
function environment(): { path: string } | { reason: string } {
  const requirements = join(here, 'requirements.txt')
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12)
  const folder = join(cache, `venv-${digest}`)
  const path = join(folder, 'bin', 'python')
  if (existsSync(join(folder, 'complete'))) return { path }
  mkdirSync(cache, { recursive: true })
  rmSync(folder, { recursive: true, force: true })
  console.log('making its Python environment (once) …')
  for (const [command, words] of [
    ['python3', ['-m', 'venv', folder]],
    [path, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]],
  ] as const) {
    const { status, stderr } = spawnSync(command, words, { encoding: 'utf8' })
    if (status !== 0) return { reason: `"${command} ${words.join(' ')}" ended with ${status}: ${stderr.slice(-500)}` }
  }
  writeFileSync(join(folder, 'complete'), '')
  return { path }
}
