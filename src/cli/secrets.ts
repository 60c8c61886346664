import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import { listSecrets, removeSecret, setSecret } from '../access/step-secrets-contract.ts'
import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import type { CliContext } from './context.ts'
import { table } from './table.ts'
import { timeAgo } from './words.ts'

type Where = { everywhere?: boolean }

const placeOf = async (context: CliContext, { everywhere }: Where): Promise<{ project?: string }> =>
  everywhere ? {} : { project: await context.project() }

/** `modelwright secrets [list]`: which names are set, never their values. */
export async function secrets({ io, client, now }: CliContext): Promise<number> {
  const call = await client()
  const items: OutputOf<typeof listSecrets>['items'] = []
  let pageToken: string | undefined
  do {
    const page = await call(listSecrets, { query: { limit: 1000, ...(pageToken ? { pageToken } : {}) } })
    items.push(...page.items)
    pageToken = page.nextPageToken
  } while (pageToken)
  if (io.json) io.out(`${JSON.stringify({ items })}\n`)
  else if (items.length === 0) io.out('No secret is set: `modelwright secrets set NAME`.\n')
  else {
    const rows = items.map(({ project, name, setBy, setAt }) => [
      name,
      project ?? 'every',
      setBy,
      timeAgo(setAt, now()),
    ])
    for (const line of table(['SECRET', 'PROJECT', 'SET BY', 'SET'], rows)) io.out(`${line}\n`)
  }
  return 0
}

/** `modelwright secrets set NAME`: from standard input or typed unseen, never from the command line, which others can see. */
export async function setOne(
  context: CliContext,
  name: string,
  where: Where,
  read: (name: string) => Promise<string> = valueFrom,
): Promise<number> {
  const value = (await read(name)).replace(/\r?\n$/, '')
  if (value === '')
    throw new AppError(
      'BadRequest',
      `No value came for ${name}.`,
      `printf %s "$VALUE" | modelwright secrets set ${name}`,
    )
  const { io } = context
  const { project } = await placeOf(context, where)
  const call = await context.client()
  await call(setSecret, { params: { name }, query: project ? { project } : {}, body: { value } })
  if (io.json) io.out(`${JSON.stringify({ name, ...(project ? { project } : {}) })}\n`)
  else
    io.out(
      `${name} is set${project ? ` for ${project}` : ''}; steps that ask for it (secrets: [${name}]) are given it.\n`,
    )
  return 0
}

export async function removeOne(context: CliContext, name: string, where: Where): Promise<number> {
  const { io } = context
  const { project } = await placeOf(context, where)
  const call = await context.client()
  await call(removeSecret, { params: { name }, query: project ? { project } : {} })
  io.out(io.json ? `${JSON.stringify({ name })}\n` : `${name} is forgotten${project ? ` for ${project}` : ''}.\n`)
  return 0
}

async function valueFrom(name: string): Promise<string> {
  if (!process.stdin.isTTY) return text(process.stdin)
  process.stderr.write(`Value of ${name} (not shown): `)
  const { Writable } = await import('node:stream')
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  try {
    return await reader.question('')
  } finally {
    reader.close()
    process.stderr.write('\n')
  }
}
