import { randomUUID } from 'node:crypto'
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { runTool } from './run-tool.ts'

/** 0.5 is the first whose `pip compile` and settings are used here; 1 may change them. */
const uvRequirement = 'uv>=0.5,<1'

type Where = { toolsDir: string; python: string; env: Record<string, string>; onLine: (line: string) => void }

/** The machine's uv, or one from its wheel, installed once for good. Undefined, with the reason said, where it cannot be had. */
export async function uvInstallation(where: Where): Promise<string | undefined> {
  const own = join(where.toolsDir, 'uv')
  const program = join(own, 'bin', 'uv')
  const present = (await onPath('uv', where.env.PATH ?? '')) ?? ((await isThere(program)) ? program : undefined)
  if (present !== undefined && (await works(present, where))) return present
  where.onLine('Installing uv once (from its wheel)')
  await mkdir(where.toolsDir, { recursive: true })
  const fresh = `${own}-${randomUUID().slice(0, 8)}`
  try {
    const failed = await installInto(fresh, where)
    if (failed !== undefined) {
      where.onLine(`uv cannot be had (${failed}); going on with venv and pip, which are slower`)
      return undefined
    }
    await rm(own, { recursive: true, force: true })
    await rename(fresh, own).catch(async (error) => {
      if (!(await isThere(program))) throw error // another process was first
    })
    return program
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

async function installInto(folder: string, where: Where): Promise<string | undefined> {
  const args = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-deps',
    '--only-binary=:all:',
    '--target',
    folder,
    uvRequirement,
  ]
  const { code, words } = await runTool({ ...where, command: where.python, args, cwd: where.toolsDir })
  return code === 0 ? undefined : (words.filter(Boolean).at(-1) ?? `pip ended with ${code}`)
}

async function works(program: string, where: Where): Promise<boolean> {
  const call = { command: program, args: ['--version'], cwd: '/', env: where.env }
  return runTool(call).then(
    ({ code, stdout }) => code === 0 && /^uv 0\.(\d+)/.test(stdout) && Number(/^uv 0\.(\d+)/.exec(stdout)![1]) >= 5,
    () => false,
  )
}

async function onPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter(Boolean))
    if (await isThere(join(folder, name))) return join(folder, name)
  return undefined
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
