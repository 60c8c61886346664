import { existsSync } from 'node:fs'
import { AppError } from '../kernel/errors.ts'
import { type CliContext, ownerToken, tokenPath } from './context.ts'

/** `modelwright token`: where it lies; the secret itself only when it is asked for. */
export async function token(context: CliContext, options: { show?: boolean }): Promise<number> {
  const { io } = context
  const path = tokenPath(await context.dataDir())
  if (!existsSync(path))
    throw new AppError('NotFound', `There is no token at ${path}.`, '`modelwright up` makes one at its first start.')
  const secret = options.show ? ownerToken(await context.dataDir())! : undefined
  if (io.json) io.out(`${JSON.stringify({ path, ...(secret ? { token: secret } : {}) })}\n`)
  else if (secret) io.out(`${secret}\n`)
  else {
    io.out(`${path}\n`)
    io.err(
      'It is secret: who has it may approve, promote and change settings as the owner. `--show` prints it; elsewhere, set MODELWRIGHT_TOKEN.\n',
    )
  }
  return 0
}
