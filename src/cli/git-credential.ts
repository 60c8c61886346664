import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CliIo } from './io.ts'

/**
 * `modelwright git-credential get|store|erase`: the helper that `modelwright init` sets up (gitcredentials(7)). Gives the
 * token for this server, `token` before the owner's, and nothing for any other; keeps nothing. `input` is what Git wrote
 * to standard input.
 */
export async function gitCredential(
  operation: string,
  options: { dataDir: string; server: string; input: string; token?: string | undefined },
  io: Pick<CliIo, 'out' | 'err'>,
): Promise<number> {
  if (operation !== 'get' || !asksFor(options.input, options.server)) return 0
  const path = join(options.dataDir, 'keys', 'owner.token')
  const token = options.token || (await readFile(path, 'utf8').catch(() => '')).trim()
  if (!/^[\x21-\x7e]+$/.test(token)) {
    io.err(
      `modelwright: there is no token in ${path}; \`modelwright up\` makes one at its first start. For a server elsewhere, set MODELWRIGHT_TOKEN.\n`,
    )
    return 0
  }
  io.out(`username=owner\npassword=${token}\n`)
  return 0
}

function asksFor(input: string, server: string): boolean {
  const asked = new Map(input.split('\n').map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]))
  const { protocol, host } = new URL(server)
  return `${asked.get('protocol')}:` === protocol && asked.get('host')?.toLowerCase() === host
}
