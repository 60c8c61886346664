import { text } from 'node:stream/consumers'
import type { CliContext } from './context.ts'
import { gitCredential } from './git-credential.ts'

/** Git writes what it asks for to standard input; `--server` is the option of every command. */
export async function credentialCommand(
  context: CliContext,
  operation: string,
  options: { data?: string },
): Promise<number> {
  const input = await text(process.stdin)
  const dataDir = options.data ?? (await context.dataDir())
  const token = context.env.MODELWRIGHT_TOKEN
  return gitCredential(operation, { dataDir, server: await context.serverUrl(), input, token }, context.io)
}
