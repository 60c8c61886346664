import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../files/replace-file.ts'

/** What the hooks learn from the environment of the one http-backend that they belong to, and from nothing else. */
export const hookVariables = {
  url: 'MODELWRIGHT_HOOK_URL',
  secret: 'MODELWRIGHT_HOOK_SECRET',
  withinMs: 'MODELWRIGHT_HOOK_WITHIN_MS',
} as const

export const hookSecretHeader = 'x-modelwright-push'

/**
 * Writes the hooks' folder, to which core.hooksPath points during a push. The script is plain JavaScript kept as a text,
 * so that it is the same whether the server runs from its sources or from a bundle; it asks the server and prints the answer.
 */
export async function installHooks(folder: string, nodePath: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await putFile(join(folder, 'ask-server.mjs'), hookScript, 0o600)
  for (const hook of ['pre-receive', 'post-receive'])
    await putFile(
      join(folder, hook),
      `#!/bin/sh\nexec ${shellQuoted(nodePath)} ${shellQuoted(join(folder, 'ask-server.mjs'))} ${hook}\n`,
      0o700,
    )
}

/** A hook that runs right now keeps the file that it opened; a file that is right is left, so that a full disk stops no start. */
async function putFile(path: string, text: string, mode: number): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return
  await replaceFile(path, text, mode)
}

const shellQuoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

const hookScript = `// Written by the Modelwright server at each start; changes here are lost.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const hook = process.argv[2]
const { ${hookVariables.url}: url, ${hookVariables.secret}: secret, ${hookVariables.withinMs}: withinMs } = process.env
const none = /^0+$/

const updates = readFileSync(0, 'utf8').split('\\n').filter(Boolean).map((line) => {
  const [from, to, ...ref] = line.split(' ')
  return {
    ref: ref.join(' '),
    ...(none.test(from) ? {} : { from }),
    ...(none.test(to) ? {} : { to }),
    fastForward: hook === 'pre-receive' && !none.test(from) && !none.test(to) && isFastForward(from, to),
  }
})

function isFastForward(from, to) {
  return spawnSync('git', ['merge-base', '--is-ancestor', from, to], { stdio: 'ignore' }).status === 0
}

try {
  const response = await fetch(url + '/' + hook, {
    method: 'POST',
    headers: { 'content-type': 'application/json', '${hookSecretHeader}': secret },
    body: JSON.stringify({
      updates,
      objectDirectory: process.env.GIT_OBJECT_DIRECTORY,
      alternates: process.env.GIT_ALTERNATE_OBJECT_DIRECTORIES,
    }),
    signal: AbortSignal.timeout(Number(withinMs)),
  })
  const answer = await response.json()
  if (!Array.isArray(answer.lines)) throw new Error(answer.error?.message ?? 'status ' + response.status)
  for (const line of answer.lines) console.log(line)
  process.exitCode = answer.accepted ? 0 : 1
} catch (error) {
  const why = error.name === 'TimeoutError' ? 'no answer within ' + withinMs / 1000 + ' s' : (error.cause?.message ?? error.message)
  if (hook === 'pre-receive') {
    console.log('The Modelwright server could not judge this push: ' + why + '.')
    console.log('  The push is refused, and nothing has changed.')
    console.log('  \\u2192 Push again; \`modelwright doctor\` says whether the server is well.')
    process.exitCode = 1
  } else {
    console.log('The push is in Git, but the Modelwright server did not take it up yet: ' + why + '.')
    console.log('  \\u2192 Nothing to do: the server finds it by itself.')
  }
}
`
