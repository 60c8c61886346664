import { text } from 'node:stream/consumers'
import {
  addUser,
  changeUser,
  issueUserToken,
  listUsers,
  listUserTokens,
  removeUser,
  revokeUserToken,
} from '../access/users-contract.ts'
import { AppError } from '../kernel/errors.ts'
import type { OutputOf } from '../kernel/route.ts'
import { parseDuration } from '../kernel/time.ts'
import type { CliContext } from './context.ts'
import { table } from './table.ts'
import { timeAgo, timeText } from './words.ts'

export type Stdin = () => Promise<string>
const stdin: Stdin = () => text(process.stdin)

/** `modelwright users [list]`: who there is beside the owner. */
export async function users({ io, client, now }: CliContext): Promise<number> {
  const call = await client()
  const items: OutputOf<typeof listUsers>['items'] = []
  let pageToken: string | undefined
  do {
    const page = await call(listUsers, { query: { limit: 1000, ...(pageToken ? { pageToken } : {}) } })
    items.push(...page.items)
    pageToken = page.nextPageToken
  } while (pageToken)
  if (io.json) io.out(`${JSON.stringify({ items })}\n`)
  else if (items.length === 0)
    io.out('There are no users; the owner is known by the token that `modelwright token` names.\n')
  else
    for (const line of table(
      ['USER', 'MAY', 'SINCE'],
      items.map((user) => [
        user.name,
        user.admin ? 'everything (admin)' : 'what is permitted',
        timeAgo(user.createdAt, now()),
      ]),
    ))
      io.out(`${line}\n`)
  return 0
}

/** `modelwright users add NAME`: the password comes from standard input, never from the command line, which others can see. */
export async function addOne(
  { io, client }: CliContext,
  name: string,
  options: { admin?: boolean; passwordStdin?: boolean },
  read: Stdin = stdin,
): Promise<number> {
  const password = options.passwordStdin ? await passwordFrom(read) : undefined
  const call = await client()
  const user = await call(addUser, { body: { name, admin: options.admin ?? false, ...(password ? { password } : {}) } })
  if (io.json) io.out(`${JSON.stringify(user)}\n`)
  else {
    io.out(`${name} may log in${password ? ' with the password' : ' once there is a token'}.\n`)
    if (!password) io.err(`\`modelwright users token ${name}\` makes one.\n`)
  }
  return 0
}

export async function setPassword({ io, client }: CliContext, name: string, read: Stdin = stdin): Promise<number> {
  const password = await passwordFrom(read)
  const call = await client()
  const user = await call(changeUser, { params: { name }, body: { password } })
  io.out(io.json ? `${JSON.stringify(user)}\n` : `${name} has another password; the old one counts no more.\n`)
  return 0
}

export async function setAdmin({ io, client }: CliContext, name: string, options: { off?: boolean }): Promise<number> {
  const call = await client()
  const user = await call(changeUser, { params: { name }, body: { admin: !options.off } })
  io.out(io.json ? `${JSON.stringify(user)}\n` : `${name} is ${user.admin ? 'an admin' : 'no admin'} now.\n`)
  return 0
}

export async function removeOne({ io, client }: CliContext, name: string): Promise<number> {
  const call = await client()
  await call(removeUser, { params: { name } })
  io.out(io.json ? '{}\n' : `${name} is gone, with all tokens and permissions.\n`)
  return 0
}

/** `modelwright users token NAME`: prints the secret, this once. */
export async function issueToken(
  { io, client }: CliContext,
  name: string,
  options: { expires?: string; as?: string },
): Promise<number> {
  const expiresInMs = options.expires === undefined ? undefined : parseDuration(options.expires)
  if (options.expires !== undefined && !expiresInMs)
    throw new AppError('BadRequest', `"${options.expires}" is no duration.`, 'Write it as 30d, 12h or 90m.')
  const call = await client()
  const issued = await call(issueUserToken, {
    params: { name },
    body: { name: options.as ?? 'default', ...(expiresInMs ? { expiresInMs } : {}) },
  })
  if (io.json) io.out(`${JSON.stringify(issued)}\n`)
  else {
    io.out(`${issued.token}\n`)
    io.err(
      `It is shown this once${issued.expiresAt ? ` and counts until ${timeText(issued.expiresAt)}` : ''}. Use it as MLFLOW_TRACKING_TOKEN or MODELWRIGHT_TOKEN.\n`,
    )
  }
  return 0
}

export async function userTokens({ io, client, now }: CliContext, name: string): Promise<number> {
  const call = await client()
  const { items } = await call(listUserTokens, { params: { name } })
  if (io.json) io.out(`${JSON.stringify({ items })}\n`)
  else if (items.length === 0) io.out(`${name} has no token.\n`)
  else
    for (const line of table(
      ['TOKEN', 'MADE', 'COUNTS UNTIL'],
      items.map((one) => [
        one.name,
        timeAgo(one.createdAt, now()),
        one.expiresAt ? timeText(one.expiresAt) : 'it is revoked',
      ]),
    ))
      io.out(`${line}\n`)
  return 0
}

export async function revokeOne({ io, client }: CliContext, name: string, token: string): Promise<number> {
  const call = await client()
  await call(revokeUserToken, { params: { name, token } })
  io.out(io.json ? '{}\n' : `The token "${token}" of ${name} counts no more.\n`)
  return 0
}

/** One line; what an editor or `echo` adds at its end is no part of it. */
async function passwordFrom(read: Stdin): Promise<string> {
  const password = (await read()).replace(/\r?\n$/, '')
  if (password !== '') return password
  throw new AppError(
    'BadRequest',
    'There is no password on standard input.',
    'Send it there: `modelwright users add ben --password-stdin < password.txt`.',
  )
}
