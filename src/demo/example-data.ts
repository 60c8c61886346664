import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Environments } from '../ports/environments.ts'
import { exampleFolder } from './example-repository.ts'
import type { Narrator } from './narrator.ts'

/**
 * Writes the example's data by the example's own script: into the repository what the story begins with, into `production` what comes
 * later. The environment is that of the example's steps, built once and found again by the server.
 */
export async function writeExampleData(parts: {
  environments: Environments
  repository: string
  production: string
  signal: AbortSignal
  narrate: Narrator
}): Promise<void> {
  const { environments, repository, production, signal, narrate } = parts
  if (existsSync(join(production, 'mixed.csv')) && existsSync(join(repository, 'data', 'biopsies.csv'))) return
  const requirements = await readFile(join(exampleFolder(), 'requirements.txt'), 'utf8')
  narrate.step('the Python environment of the example (built once, then shared)')
  // What is downloaded takes time and is told; the fifty packages one by one are not.
  const tell = (line: string) => {
    if (/^\s*(Installing|Resolved|Downloading|Prepared|Installed) /.test(line)) narrate.quote(line)
  }
  const lock = await environments.resolve({ pythonVersion: '>= 3.10', requirements }, tell, signal)
  const { pythonPath } = await environments.ensure(lock, tell, signal)
  narrate.command(`python make_data.py --production ${production}`)
  const { stdout } = await promisify(execFile)(pythonPath, ['make_data.py', '--production', production], {
    cwd: repository,
    signal,
    env: { LANG: 'C.UTF-8' },
  })
  for (const line of stdout.trimEnd().split('\n')) narrate.quote(line)
}
