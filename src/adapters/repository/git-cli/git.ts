import { execFile } from 'node:child_process'

export type GitOptions = { args: string[]; cwd: string; env?: Record<string, string>; input?: string | Uint8Array }
export type GitResult = { code: number; stdout: Buffer; stderr: string }

const maxOutputBytes = 256 * 1024 * 1024

/**
 * One environment for every git that we start: no settings but our own, no prompt, no hook, no network, English messages.
 * Replacement refs are off: a pushed refs/replace/… would otherwise change what a commit seems to hold.
 */
export const gitEnvironment = (path: string): Record<string, string> => ({
  PATH: path,
  LC_ALL: 'C',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_NO_LAZY_FETCH: '1',
  GIT_OPTIONAL_LOCKS: '0',
})

export const gitSettings = (repository: string): string[] => [
  '-c',
  `safe.directory=${repository}`,
  '-c',
  'core.hooksPath=/dev/null',
  '-c',
  'protocol.allow=never',
]

/** Runs git without a shell. A non-zero exit is a result, not an exception; a git that cannot be started is one. */
export function runGit(gitPath: string, { args, cwd, env, input }: GitOptions): Promise<GitResult> {
  return new Promise((done, fail) => {
    const child = execFile(
      gitPath,
      args,
      { cwd, env, encoding: 'buffer', maxBuffer: maxOutputBytes },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') return fail(error)
        done({ code: error ? Number(error.code) : 0, stdout, stderr: stderr.toString().trim() })
      },
    )
    // A git that ends before it has read everything says why by its exit status.
    child.stdin!.on('error', () => undefined)
    child.stdin!.end(input ?? '')
  })
}
