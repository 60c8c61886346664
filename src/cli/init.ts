import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import type { Client } from '../kernel/client.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { detectProject, type ProjectFile, parseProjectFile, projectFileName } from '../projects/index.ts'
import { connectProject } from '../projects/projects-contract.ts'
import type { CliIo } from './io.ts'
import { type LocalGit, localGit, mustGit } from './local-git.ts'
import { repositoryFiles } from './repository-files.ts'

export type InitOptions = {
  cwd: string
  env: Record<string, string | undefined>
  /** The server's address, without a slash at the end. */
  server: string
  client: Client
  dataDir: string
  /** How Git calls this program again to be given the token. */
  nodePath: string
  binPath: string
}

type Found = { file: ProjectFile; written: boolean; found: string[]; guessed: string[] }

/**
 * `modelwright init`: writes modelwright.yaml for what lies in the repository and connects it to the server. Run again,
 * it keeps the file and mends the connection. Returns the exit code: 1 where the server could not be reached.
 */
export async function init(options: InitOptions, io: CliIo): Promise<number> {
  const { root, git, begun } = await repositoryAt(options)
  const project = await projectFileIn(root, git)
  await keepDataFolderOut(root, git, options.dataDir)
  const remote = `${options.server}/git/${project.file.project}.git`
  const { created, waits } = await connect(options, project.file)
  const replaced = waits ? undefined : await setRemote(git, remote)
  if (!waits) await setCredentialHelper(git, options)

  if (io.json) io.out(`${JSON.stringify(report({ root, project, remote, waits }), null, 2)}\n`)
  else tell({ root, begun, project, remote, replaced, created, waits, branch: await branchOf(git) }, options, io)
  return waits ? 1 : 0
}

async function repositoryAt({ cwd, env }: InitOptions): Promise<{ root: string; git: LocalGit; begun: boolean }> {
  const here = localGit(cwd, env)
  const top = await here('rev-parse', '--show-toplevel')
  if (top.code === 0) {
    const root = top.out.replace(/\n$/, '')
    return { root, git: localGit(root, env), begun: false }
  }
  if ((await here('rev-parse', '--git-dir')).code === 0)
    throw new AppError('Conflict', `${cwd} is inside a bare repository or a .git folder.`, 'Run it in a working copy.')
  if (resolve(cwd) === '/' || (env.HOME && resolve(cwd) === resolve(env.HOME)))
    throw new AppError(
      'Conflict',
      `${cwd} is no Git repository, and is not a folder to make one of.`,
      'Change to the folder of your project first.',
    )
  await mustGit(here, 'init', '--quiet', '-b', 'main')
  return { root: cwd, git: here, begun: true }
}

async function projectFileIn(root: string, git: LocalGit): Promise<Found> {
  const path = join(root, projectFileName)
  const present = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (present !== undefined)
    return { file: parseProjectFile(present, projectFileName), written: false, found: [], guessed: [] }
  const { yaml, found, guessed } = detectProject(await repositoryFiles(root, git), basename(root))
  const branch = await branchOf(git)
  const text = branch === 'main' ? yaml : withBranch(yaml, branch)
  const file = parseProjectFile(text, projectFileName)
  // Never over a file that appeared meanwhile.
  await writeFile(path, text, { flag: 'wx' })
  const branchGuess =
    branch === 'main' ? [] : [`"${branch}", checked out now, is the branch that says what production is`]
  return { file, written: true, found, guessed: [...guessed, ...branchGuess] }
}

const withBranch = (yaml: string, branch: string): string =>
  yaml.replace(/^(project:.*\n)/m, (line) => `${line}branch: ${JSON.stringify(branch)}\n`)

/** Also before the first commit; main where no branch is checked out. */
async function branchOf(git: LocalGit): Promise<string> {
  const { code, out } = await git('symbolic-ref', '--quiet', '--short', 'HEAD')
  return code === 0 ? out.trim() : 'main'
}

/** The data folder holds keys; `git add .` must not pick it up. */
async function keepDataFolderOut(root: string, git: LocalGit, dataDir: string): Promise<void> {
  const inside = relative(root, resolve(dataDir))
  if (inside === '' || inside.startsWith('..') || isAbsolute(inside)) return
  if ((await git('check-ignore', '--quiet', `${inside}/`)).code === 0) return
  const exclude = resolve(root, (await mustGit(git, 'rev-parse', '--git-path', 'info/exclude')).trim())
  await mkdir(dirname(exclude), { recursive: true })
  await appendFile(exclude, `\n# Modelwright's data folder\n/${inside}/\n`)
}

type Connection = { created: boolean; waits?: AppError }

/** `waits` is why connecting must wait. */
async function connect({ client }: InitOptions, file: ProjectFile): Promise<Connection> {
  try {
    const { created } = await client(connectProject, { body: { name: file.project, branch: file.branch } })
    return { created }
  } catch (error) {
    if (isAppError(error, 'ServerUnreachable')) return { created: false, waits: error }
    throw error
  }
}

/** Gives the address that the remote had before, if it was another. */
async function setRemote(git: LocalGit, remote: string): Promise<string | undefined> {
  const { code, out } = await git('remote', 'get-url', 'modelwright')
  if (code !== 0) await mustGit(git, 'remote', 'add', 'modelwright', remote)
  else if (out.trim() !== remote) await mustGit(git, 'remote', 'set-url', 'modelwright', remote)
  return code === 0 && out.trim() !== remote ? out.trim() : undefined
}

async function setCredentialHelper(git: LocalGit, options: InitOptions): Promise<void> {
  const { nodePath, binPath, server } = options
  const words = [nodePath, binPath, 'git-credential', '--data', resolve(options.dataDir), '--server', server]
  const key = `credential.${server}`
  // The empty entry ends the list of helpers set elsewhere: they would write the token down.
  await mustGit(git, 'config', '--local', '--replace-all', `${key}.helper`, '')
  await mustGit(git, 'config', '--local', '--add', `${key}.helper`, `!${words.map(shellQuoted).join(' ')}`)
  await mustGit(git, 'config', '--local', `${key}.useHttpPath`, 'false')
}

const shellQuoted = (word: string): string => (/^[\w/.:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)

type Outcome = { root: string; project: Found; remote: string; waits: AppError | undefined }

const report = ({ root, project, remote, waits }: Outcome) => ({
  file: join(root, projectFileName),
  written: project.written,
  project: project.file.project,
  branch: project.file.branch,
  found: project.found,
  guessed: project.guessed,
  connected: waits === undefined,
  remote,
  ...(waits ? { error: waits.toJSON() } : {}),
})

function tell(
  outcome: Outcome & { begun: boolean; branch: string; created: boolean; replaced: string | undefined },
  options: InitOptions,
  io: CliIo,
): void {
  const { root, begun, project, remote, replaced, created, waits, branch } = outcome
  const { bold, green, yellow, dim } = io.color
  const line = (text = '') => io.out(`${text}\n`)
  const item = (text: string) => line(`  ${dim('·')} ${text}`)

  if (begun) line(`${green('✓')} made ${root} a Git repository`)
  if (project.written) line(`${green('✓')} wrote ${join(root, projectFileName)}`)
  else line(`${green('✓')} ${projectFileName} is there already, and is valid: kept as it is`)
  if (project.found.length > 0) line(`  found ${project.found.join(', ')}`)
  if (project.guessed.length > 0) {
    line('  guessed, please look at it:')
    for (const guess of project.guessed) item(guess)
  }
  if (waits) {
    line(`${yellow('!')} not connected yet: ${waits.message}`)
    line(`  Start the server with ${bold('modelwright up')}, then run ${bold('modelwright init')} again.`)
    return
  }
  line(`${green('✓')} connected: remote "modelwright" is ${remote}`)
  if (!created) line(`  ${dim(`the server knew the project "${project.file.project}" already`)}`)
  if (replaced) line(`  ${dim(`before, it was ${replaced}`)}`)
  line(`  ${dim(`Git asks this program for your token (${options.server}); none is kept in .git/config`)}`)
  line()
  line('Next:')
  if (Object.keys(project.file.steps).length > 0)
    line(`  ${bold('modelwright run')}   ${dim('# on the working tree as it is')}`)
  line(`  ${bold(`git add ${projectFileName} && git commit -m "Add ${projectFileName}"`)}`)
  line(`  ${bold(`git push modelwright ${branch}`)}`)
}
