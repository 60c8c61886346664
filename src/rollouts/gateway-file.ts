import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../files/replace-file.ts'
import { canonicalJson } from '../kernel/digest.ts'
import type { EpochMs } from '../kernel/time.ts'
import type { EndpointDesired, GatewayDesired } from '../serving/index.ts'
import type { GatewayRevision, RolloutsStore } from './rollouts-store.ts'

/**
 * `<data>/gateway/desired.json`. What it says is recorded first, with a revision that grows, and written after: a file that is older
 * than the record (a crash), missing or altered is simply written again.
 */
export class GatewayFile {
  readonly #folder: string
  readonly #store: RolloutsStore

  constructor(folder: string, store: RolloutsStore) {
    this.#folder = folder
    this.#store = store
  }

  /** What was recorded last. */
  async current(): Promise<{ revision: GatewayRevision; endpoints: EndpointDesired[] } | undefined> {
    const revision = await this.#store.revision()
    return revision && { revision, endpoints: JSON.parse(revision.content) as EndpointDesired[] }
  }

  async write(endpoints: EndpointDesired[], now: EpochMs): Promise<void> {
    const content = canonicalJson(endpoints)
    let revision = await this.#store.revision()
    if (revision?.content !== content) {
      revision = { revision: (revision?.revision ?? 0) + 1, content, writtenAt: now }
      await this.#store.setRevision(revision)
    }
    const text = `${JSON.stringify({ revision: revision.revision, endpoints } satisfies GatewayDesired, null, 2)}\n`
    if ((await this.#text()) !== text) await this.#replace(text)
  }

  #text(): Promise<string | undefined> {
    return readFile(join(this.#folder, 'desired.json'), 'utf8').catch(() => undefined)
  }

  async #replace(text: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await replaceFile(join(this.#folder, 'desired.json'), text)
  }
}
