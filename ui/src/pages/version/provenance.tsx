import { Link } from '@tanstack/react-router'
import {
  Box,
  Database,
  FlaskConical,
  GitCommitHorizontal,
  type LucideIcon,
  Package,
  Rocket,
  Scale,
  UserRoundCheck,
} from 'lucide-react'
import type { ReactNode } from 'react'
import {
  promotionState,
  rolloutState,
  type ShownState,
  stateWords,
  verdictState,
} from '../../../../src/lineage/shown-states-contract.ts'
import type { Promotion, Rollout, Version, VersionStory } from '../../data/queries.ts'
import { percent, shortCommit, shortDigest } from '../../format.ts'
import { StateIcon } from '../../parts/state-chip.tsx'
import { Ago } from '../../parts/time.tsx'

type Props = {
  project: string
  own: Version
  story: VersionStory
  promotion: Promotion | undefined
  rollout: Rollout | undefined
}

/** Where it came from and what it led to, in the order in which it happened. */
export function Provenance({ project, own, story, promotion, rollout }: Props) {
  const { commit, data, environment, run, unisolated, verdict } = story
  return (
    <section className="card" aria-label="Provenance">
      <ol className="provenance">
        <Station icon={GitCommitHorizontal} name="Commit" known={commit !== undefined}>
          {commit ? (
            <Link to="/projects/$project/commits/$sha" params={{ project, sha: commit.id }} className="text-link mono">
              {shortCommit(commit.id)}
            </Link>
          ) : (
            'not known'
          )}
          {commit && <Line>{commit.subject}</Line>}
          {unisolated && <Line>not isolated: {unisolated.join(', ')} saw the whole checkout</Line>}
        </Station>
        <Station icon={Database} name="Data" known={data.length > 0}>
          {data.map(({ dataset, rows }) => (
            <span key={dataset}>
              {dataset}
              {rows !== undefined && <span className="quiet"> {rows.toLocaleString('en')} rows</span>}
            </span>
          ))}
          {data[0] && <Line>{shortDigest(data[0].digest)}</Line>}
        </Station>
        <Station icon={Package} name="Environment" known={environment.digest !== 'none'}>
          {environment.python ? `Python ${environment.python}` : 'none'}
          {environment.packages !== undefined && <Line>{environment.packages} packages</Line>}
        </Station>
        <Station icon={FlaskConical} name="Run" known={run !== undefined}>
          {run ? (
            <Link
              to="/projects/$project/executions/$id"
              params={{ project, id: own.executionId }}
              search={{ step: run.name }}
              className="text-link"
            >
              {run.name}
            </Link>
          ) : (
            'not known'
          )}
          {run && (
            <Line>
              <Ago at={run.startedAt} />
            </Line>
          )}
        </Station>
        <Station
          icon={Scale}
          name="Verdict"
          known={verdict !== undefined}
          {...(verdict ? { state: verdictState[verdict.outcome] } : {})}
        >
          {verdict ? stateWords[verdictState[verdict.outcome]] : 'none'}
          {verdict && <Line>score {Number(verdict.score.toFixed(1))}</Line>}
        </Station>
        <Station
          icon={UserRoundCheck}
          name="Approval"
          known={promotion !== undefined}
          {...(promotion ? { state: promotionState[promotion.state] } : {})}
        >
          {promotion ? approvalText(promotion) : 'not promoted'}
          {promotion && <Line>for {promotion.environment}</Line>}
        </Station>
        <Station
          icon={Rocket}
          name="Rollout"
          known={rollout !== undefined}
          {...(rollout ? { state: rolloutState[rollout.state] } : {})}
        >
          {rollout ? rolloutWord(rollout) : 'none yet'}
          {rollout && <Line>{rolloutText(rollout)}</Line>}
        </Station>
        <Station icon={Box} name="Serves" known={own.serves.length > 0}>
          {own.serves.length === 0
            ? 'nowhere'
            : own.serves.map(({ environment, weight }) => `${environment} ${percent(weight)}`).join(', ')}
        </Station>
      </ol>
    </section>
  )
}

function approvalText({ waitsForPerson, decidedBy, state }: Promotion): string {
  if (waitsForPerson) return 'waits'
  if (decidedBy) return `by ${decidedBy}`
  return state === 'committed' ? 'automatic' : state
}

const rolloutWord = ({ state, canary, step }: Rollout): string =>
  state === 'step' || state === 'waiting' ? `at ${percent(canary[step] ?? 1)}` : state

const rolloutText = ({ straight, canary }: Rollout): string =>
  straight ? 'at once' : `canary ${canary.map(percent).join(', ')}`

const Line = ({ children }: { children: ReactNode }) => <span className="quiet station-line">{children}</span>

type StationProps = { icon: LucideIcon; name: string; known: boolean; state?: ShownState; children: ReactNode }

function Station({ icon: Icon, name, known, state, children }: StationProps) {
  return (
    <li data-known={known}>
      <span className="station-name">
        {state ? <StateIcon state={state} size={14} /> : <Icon size={14} aria-hidden />}
        {name}
      </span>
      <span className="station-what">{children}</span>
    </li>
  )
}
