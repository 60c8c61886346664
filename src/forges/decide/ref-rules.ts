import type { RefUpdate } from '../push.ts'

export type RefVerdict =
  | { outcome: 'branch'; branch: string; authoritative: boolean }
  /** Comes in, and its tree is looked at, but no plan is made: `modelwright run` plans it itself. */
  | { outcome: 'snapshot' }
  | { outcome: 'keep' }
  | { outcome: 'refuse'; reason: string; next: string }

const refuse = (reason: string, next: string): RefVerdict => ({ outcome: 'refuse', reason, next })

/** Whether a push may change a ref so. `authoritative` is the name of the branch that says what production is. */
export function judgeRef(update: RefUpdate, authoritative: string): RefVerdict {
  const { ref } = update
  if (ref.startsWith('refs/heads/')) return judgeBranch(update, ref.slice('refs/heads/'.length), authoritative)
  if (ref.startsWith('refs/tags/')) return { outcome: 'keep' }
  if (ref.startsWith('refs/modelwright/snapshots/')) return { outcome: update.to ? 'snapshot' : 'keep' }
  return refuse(
    `${ref} is neither a branch (refs/heads/…) nor a tag (refs/tags/…).`,
    'Push branches and tags: `git push modelwright BRANCH`.',
  )
}

function judgeBranch(update: RefUpdate, branch: string, authoritative: string): RefVerdict {
  const { from, to, fastForward } = update
  if (branch.startsWith('modelwright/')) {
    if (to === undefined) return { outcome: 'keep' }
    return refuse(
      `${branch} holds a proposal of Modelwright; nobody else writes to modelwright/ branches.`,
      `Push your change under another name; to accept the proposal, merge it into ${authoritative}.`,
    )
  }
  if (branch !== authoritative)
    return to === undefined ? { outcome: 'keep' } : { outcome: 'branch', branch, authoritative: false }
  if (to === undefined)
    return refuse(
      `${branch} says what production is; it cannot be deleted.`,
      'To stop a deployment, take it out of modelwright.yaml and push that.',
    )
  if (from !== undefined && !fastForward)
    return refuse(
      `This push would take commits out of ${branch} (not a fast-forward); what production was must stay to be seen.`,
      `\`git pull --rebase modelwright ${branch}\`, then push again; to undo a commit, push a \`git revert\` of it.`,
    )
  return { outcome: 'branch', branch, authoritative: true }
}
