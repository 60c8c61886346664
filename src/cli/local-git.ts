import { execFile } from 'node:child_process'
import { AppError } from '../kernel/errors.ts'

export type LocalGit = (...args: string[]) => Promise<{ code: number; out: string; err: string }>

/** The user's own git, with the user's own settings, in one folder. A non-zero exit is a result, not an exception. */
export function localGit(folder: string, env: Record<string, string | undefined>): LocalGit {
  return (...args) =>
    new Promise((resolve, reject) => {
      const options = { cwd: folder, env: { ...env, LC_ALL: 'C' }, maxBuffer: 256 * 1024 * 1024 }
      execFile('git', args, options, (error, out, err) => {
        if (error && typeof error.code !== 'number') return reject(noGit(error))
        resolve({ code: error ? Number(error.code) : 0, out, err })
      })
    })
}

/** For commands that only fail when something is broken. */
export async function mustGit(git: LocalGit, ...args: string[]): Promise<string> {
  const { code, out, err } = await git(...args)
  if (code === 0) return out
  throw new AppError(
    'Conflict',
    `\`git ${args[0]}\` failed: ${err.trim() || `status ${code}`}`,
    'Mend that, then try again.',
  )
}

const noGit = (cause: Error): AppError =>
  new AppError('NotFound', `git could not be started: ${cause.message}`, 'Install Git 2.28 or later.', { cause })
