import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { SecretBox } from '../access/index.ts'
import { replaceFile } from '../files/replace-file.ts'
import { Mask } from './decide/mask.ts'

/**
 * What an attempt was given, sealed beside its workspace for as long as its log may hold it in clear: also a server that was started
 * meanwhile, or after the secret was set anew, masks what this attempt knows.
 */
export class AttemptSecrets {
  readonly #box: SecretBox

  constructor(box: SecretBox) {
    this.#box = box
  }

  /** Before the command is started. */
  async keep(dir: string, secrets: Record<string, string>): Promise<void> {
    const values = Object.values(secrets)
    if (values.length === 0) return
    await replaceFile(pathIn(dir), this.#box.seal(JSON.stringify(values), purposeOf(dir)))
  }

  /** Masks nothing where there is nothing to mask, or the log was masked for good. */
  async maskFor(dir: string): Promise<Mask> {
    const sealed = existsSync(pathIn(dir)) ? await readFile(pathIn(dir), 'utf8').catch(() => undefined) : undefined
    return new Mask(sealed === undefined ? [] : (JSON.parse(this.#box.open(sealed, purposeOf(dir))) as string[]))
  }

  /** Once the log holds none of it any more. */
  forget(dir: string): Promise<void> {
    return rm(pathIn(dir), { force: true })
  }
}

const pathIn = (dir: string): string => join(dir, 'secrets.sealed')

/** Attempt folders are told apart by execution, step and number; where the data folder lies may change. */
const purposeOf = (dir: string): string => `secrets of attempt ${dir.split('/').slice(-3).join('/')}`
