import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export type SlowSetting = { answer: string; loadSeconds: number; log?: string }

/** Saves one pyfunc model for each setting, in a folder of its name. */
export async function makePythonModels(
  python: string,
  folder: string,
  settings: readonly SlowSetting[],
): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const script = fileURLToPath(new URL('./make_models.py', import.meta.url))
  await promisify(execFile)(python, [script, folder, JSON.stringify(settings)])
}
