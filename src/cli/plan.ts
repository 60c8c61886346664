import { planCommit } from '../executions/executions-contract.ts'
import { AppError } from '../kernel/errors.ts'
import type { CliContext } from './context.ts'
import { localGit } from './local-git.ts'
import { readSettings } from './read-settings.ts'

/** `modelwright plan`: of a commit that the server has; the head of the authoritative branch where none is named. */
export async function plan(
  context: CliContext,
  options: { step: string | undefined; commit?: string; set?: string[] },
): Promise<number> {
  const { io } = context
  const project = await context.project()
  const commit = options.commit ? await wholeCommit(context, options.commit) : undefined
  const made = await (await context.client())(planCommit, {
    params: { project },
    body: {
      set: readSettings(options.set ?? []),
      ...(commit ? { commit } : {}),
      ...(options.step ? { only: options.step } : {}),
    },
  })
  io.out(io.json ? `${JSON.stringify(made)}\n` : `${made.lines.join('\n')}\n`)
  return 0
}

/** Names of the repository here (`HEAD~2`, a branch, a short sha) become the commit that they mean. */
export async function wholeCommit({ cwd, env }: CliContext, name: string): Promise<string> {
  if (/^[0-9a-f]{40}$/.test(name)) return name
  const { code, out } = await localGit(cwd, env)(
    'rev-parse',
    '--verify',
    '--quiet',
    '--end-of-options',
    `${name}^{commit}`,
  )
  if (code === 0) return out.trim()
  throw new AppError('NotFound', `The repository here has no commit "${name}".`, 'Name a commit, branch or tag of it.')
}
