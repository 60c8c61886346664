import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFileSync } from '../files/replace-file.ts'
import { lockHolder } from './data-folder.ts'

/** Of several gateways the first is `gateway`, the next `gateway-2`. */
export type Member = 'server' | 'gateway' | `gateway-${number}`

export const gatewayMember = (number: number): Member => (number === 1 ? 'gateway' : `gateway-${number}`)

/** The server and as many gateways as are configured. */
export const familyOf = ({ gateways }: { gateways: number }): Member[] => [
  'server',
  ...Array.from({ length: gateways }, (_, at) => gatewayMember(at + 1)),
]

/** What each process of the family writes about itself under run/. */
export type MemberFacts = {
  pid: number
  url: string
  /** Where it is asked by itself: at a port that several share, any of them answers. */
  ownUrl?: string
}

/** What a member wrote about itself, if its process still lives. */
export function memberFacts(runDir: string, member: Member | 'supervisor'): MemberFacts | undefined {
  const facts = writtenFacts(runDir, member)
  return facts && isMember(runDir, member, facts.pid) ? facts : undefined
}

/** As it was written, by whom it may be. */
export function writtenFacts(runDir: string, member: Member | 'supervisor'): MemberFacts | undefined {
  try {
    return JSON.parse(readFileSync(join(runDir, `${member}.json`), 'utf8')) as MemberFacts
  } catch {
    return undefined
  }
}

export function writeFacts(runDir: string, member: string, facts: MemberFacts): void {
  replaceFileSync(join(runDir, `${member}.json`), JSON.stringify(facts))
}

/** A pid may have passed to a stranger, or to a Modelwright of another data folder. */
function isMember(runDir: string, member: Member | 'supervisor', pid: number): boolean {
  const holder = lockHolder(runDir, member)
  if (holder !== 'unknown') return holder === pid
  try {
    return /main\.(js|ts)|modelwright/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
  } catch {
    return false
  }
}

/** All that ever ran on this data folder, the server last and gateways by number. */
export function membersIn(runDir: string): Member[] {
  const names = existsSync(runDir) ? readdirSync(runDir) : []
  return names
    .flatMap((name) => /^(server|gateway|gateway-\d+)\.lock$/.exec(name)?.[1] ?? [])
    .sort(new Intl.Collator('en', { numeric: true }).compare) as Member[]
}

/** Whether this very process answers. */
export async function isWell({ url, ownUrl = url }: Omit<MemberFacts, 'pid'>, withinMs = 3_000): Promise<boolean> {
  const answer = await fetch(`${ownUrl}/health`, { signal: AbortSignal.timeout(withinMs) }).catch(() => undefined)
  // It may die between the head of its answer and the end.
  await answer?.body?.cancel().catch(() => undefined)
  return answer?.ok === true
}
