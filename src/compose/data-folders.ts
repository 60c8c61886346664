import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { memberFacts } from './members.ts'

const kept = 10

/** So that `modelwright init` finds, from any repository of this user, the server that `modelwright up` started elsewhere. */
export function rememberDataFolder(dataDir: string, environment: NodeJS.ProcessEnv): void {
  const path = listPath(environment)
  if (!path) return
  const others = listedFolders(path).filter((one) => one !== dataDir)
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, `${[dataDir, ...others].slice(0, kept).join('\n')}\n`, { mode: 0o600 })
  } catch {
    // A home that cannot be written to costs this comfort and nothing else: --data-dir names the folder as well.
  }
}

/** The data folder, newest first, whose server runs now; with a URL, the one of the server that runs at it. */
export function runningDataFolder(environment: NodeJS.ProcessEnv, url?: string): string | undefined {
  const path = listPath(environment)
  return listedFolders(path ?? '').find((folder) => {
    const facts = memberFacts(join(folder, 'run'), 'server')
    return facts !== undefined && (url === undefined || facts.url === url)
  })
}

function listedFolders(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean)
  } catch {
    return []
  }
}

/** Undefined for a user without a home. */
function listPath({ XDG_STATE_HOME, HOME }: NodeJS.ProcessEnv): string | undefined {
  const state = XDG_STATE_HOME || (HOME && join(HOME, '.local', 'state'))
  return state ? join(state, 'modelwright', 'data-folders') : undefined
}
