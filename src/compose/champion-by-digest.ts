import type { Digest } from '../kernel/digest.ts'
import type { Champion } from '../planning/index.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import { parseManifest } from '../promotions/index.ts'
import type { RegistryService } from '../registry/index.ts'

/** A registered version as the planner needs it to evaluate the champion anew. */
export const championByDigest =
  (registry: RegistryService, objects: ObjectStore) =>
  async (digest: Digest): Promise<Champion | undefined> => {
    const version = await registry.versionByDigest(digest)
    if (!version) return undefined
    const manifest = parseManifest(new TextDecoder().decode(await objects.read(digest)), digest)
    return { version: version.version, digest, tree: manifest.modelTree }
  }
