import type { CliContext } from './context.ts'
import { init } from './init.ts'

/** Where no server is known yet, the repository is connected to the address that `modelwright up` will have. */
const usualServer = 'http://127.0.0.1:5000'

export async function initCommand(context: CliContext): Promise<number> {
  const server = await context.serverUrl().catch(() => usualServer)
  const dataDir = await context.dataDir()
  const token = await initToken(context, server, dataDir)
  const { createClient } = await import('../kernel/client.ts')
  return init(
    {
      cwd: context.cwd,
      env: context.env,
      server,
      client: createClient({ baseUrl: server, ...(token ? { token } : {}) }),
      dataDir,
      nodePath: process.execPath,
      binPath: process.argv[1]!,
    },
    context.io,
  )
}

async function initToken(context: CliContext, server: string, dataDir: string): Promise<string | undefined> {
  const known = await context.token().catch(() => undefined)
  if (known) return known
  if (server !== usualServer) return undefined
  const { ownerToken } = await import('./context.ts')
  return ownerToken(dataDir)
}
