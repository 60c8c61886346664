import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { reproductionState, type ShownState, verdictState } from '../../../../src/lineage/shown-states-contract.ts'
import { commands } from '../../commands.ts'
import {
  deploymentQuery,
  deploymentsQuery,
  type Promotion,
  promotionsQuery,
  type Rollout,
  type Version,
  type VersionStory,
  versionStoryQuery,
  versionsQuery,
} from '../../data/queries.ts'
import { count, percent, personName, withShortNumbers } from '../../format.ts'
import { CommandLine, Commit, Digest } from '../../parts/copy.tsx'
import { Empty } from '../../parts/empty.tsx'
import { PageSkeleton, SkeletonRows } from '../../parts/loading.tsx'
import { MetricTable } from '../../parts/metric-table.tsx'
import { Problem } from '../../parts/problem.tsx'
import { ServedVersionItem, ServedVersions } from '../../parts/served-version.tsx'
import { StateChip, StateWord } from '../../parts/state-chip.tsx'
import { Ago } from '../../parts/time.tsx'
import { VerdictTable } from '../../parts/verdict-table.tsx'
import { Provenance } from './provenance.tsx'
import './version.css'

/** One model version: where it came from, what the gate said of it, where it went. */
export function VersionPage() {
  const { project, model, version } = useParams({ from: '/projects/$project/models/$model/versions/$version' })
  const versions = useQuery(versionsQuery(project))
  const own = versions.data?.items.find((one) => one.model === model && String(one.version) === version)
  const story = useQuery({ ...versionStoryQuery(own?.digest ?? ''), enabled: own !== undefined })
  const promotions = useQuery(promotionsQuery(project)).data?.items.filter(({ digest }) => digest === own?.digest) ?? []
  const promotion = promotions[0]
  const environment = own?.serves[0]?.environment ?? promotion?.environment
  const deployment = useQuery({ ...deploymentQuery(project, environment ?? ''), enabled: environment !== undefined })
  const rollout = deployment.data?.rollouts.find(({ newcomer }) => newcomer.digest === own?.digest)
  const error = versions.error ?? story.error
  if (error)
    return (
      <div className="page">
        <h1>{`${model} v${version}`}</h1>
        <Problem error={error} />
      </div>
    )
  if (!versions.data) return <PageSkeleton />
  if (!own)
    return (
      <div className="page">
        <h1>{`${model} v${version}`}</h1>
        <section className="card">
          <Empty title="No such version">
            A version appears here once a gate judged it. The list of Models has those that there are.
          </Empty>
        </section>
      </div>
    )
  return (
    <div className="page">
      <div className="title">
        <div className="title-line">
          <h1>
            {model} <span className="muted">version {version}</span>
          </h1>
          <StateChip state={stateOf(own)} />
        </div>
        <p className="lede">{sentenceOf(own, promotion)}</p>
        <div className="row">
          <Digest digest={own.digest} />
          <div className="why-command">
            <CommandLine command={commands.why(model, own.version)} />
          </div>
          <Link
            to="/projects/$project/lineage"
            params={{ project }}
            search={{ of: `${model}@${own.version}` }}
            className="text-link"
          >
            Lineage
          </Link>
        </div>
      </div>
      {story.data ? (
        <Story project={project} own={own} story={story.data} promotions={promotions} rollout={rollout} />
      ) : (
        <section className="card">
          <SkeletonRows rows={6} />
        </section>
      )}
    </div>
  )
}

type StoryProps = {
  project: string
  own: Version
  story: VersionStory
  promotions: Promotion[]
  rollout: Rollout | undefined
}

function Story({ project, own, story, promotions, rollout }: StoryProps) {
  const { verdict } = story
  return (
    <>
      <Provenance project={project} own={own} story={story} promotion={promotions[0]} rollout={rollout} />
      <div className="columns">
        <div className="stack wide">
          {verdict && (
            <section className="card" aria-labelledby="verdict">
              <header>
                <h2 id="verdict">Verdict</h2>
                <StateChip state={verdictState[verdict.outcome]} />
                <span className="spring" />
                <span className="quiet tabular">
                  score {Number(verdict.score.toFixed(1))} of 100 · <Ago at={verdict.at} />
                </span>
              </header>
              <p className="body muted">{withShortNumbers(verdict.reasons.join(' '))}</p>
              <VerdictTable verdict={verdict} />
            </section>
          )}
          <Metrics story={story} />
        </div>
        <div className="stack wide">
          <AtGateway project={project} story={story} />
          <ComputedAs story={story} />
          <MadeAgain own={own} story={story} />
          <Ingredients story={story} />
          <Recipe story={story} />
        </div>
      </div>
    </>
  )
}

function stateOf({ serves, declared, barred, verdict }: Version): ShownState {
  if (serves.some(({ weight }) => weight > 0))
    return serves.every(({ weight }) => weight === 1) ? 'serving' : 'progressing'
  if (declared.length > 0) return 'progressing'
  if (barred.length > 0) return 'stalled'
  return verdictState[verdict]
}

function sentenceOf({ serves, declared, barred, verdict }: Version, promotion: Promotion | undefined): string {
  if (serves.length > 0)
    return `It answers ${serves.map(({ environment, weight }) => `${percent(weight)} of ${environment}`).join(', ')}.`
  if (promotion?.waitsForPerson)
    return `It waits for ${promotion.approver ?? 'a member'} to approve it for ${promotion.environment}.`
  if (declared.length > 0) return `Git declares it for ${declared.join(', ')}; it is on its way there.`
  const [bar] = barred
  if (bar) return `It is barred from ${bar.environment}: ${bar.reason}.`
  if (verdict === 'pass' || verdict === 'warn') return 'Its gate let it through. It serves nowhere now.'
  return 'Its gate did not let it through.'
}

/** What the training run itself logged; the numbers that were judged stand in the verdict, beside the champion's. */
function Metrics({ story: { run } }: { story: VersionStory }) {
  const metrics = Object.entries(run?.metrics ?? {})
  if (metrics.length === 0) return null
  return (
    <section className="card" aria-labelledby="metrics">
      <header>
        <h2 id="metrics">Logged by {run?.name}</h2>
      </header>
      <MetricTable label="Metrics of its run" metrics={metrics} />
    </section>
  )
}

/** Whether it can be made again from its record, or how to find out. */
function MadeAgain({ own, story: { reproduced } }: { own: Version; story: VersionStory }) {
  return (
    <section className="card" aria-labelledby="made-again">
      <header>
        <h2 id="made-again">Made again</h2>
        {reproduced?.outcome && <StateWord state={reproductionState[reproduced.outcome]} word={reproduced.outcome} />}
        {reproduced && !reproduced.outcome && (
          <StateWord state={reproduced.state === 'running' ? 'running' : 'failed'} />
        )}
        <span className="spring" />
        {reproduced && (
          <span className="quiet">
            <Ago at={reproduced.at} />
          </span>
        )}
      </header>
      <div className="body stack">
        <p className="muted">
          {reproduced ? (reproduced.sentence ?? reproduced.text) : 'Nobody tried yet to make it again from its record.'}
        </p>
        {reproduced?.state !== 'running' && <CommandLine command={commands.reproduce(own.model, own.version)} />}
      </div>
    </section>
  )
}

/** Where the gateway has it now, and how: by environment. What the record of its conversion says already is not said twice. */
function AtGateway({ project, story: { digest, conversion } }: { project: string; story: VersionStory }) {
  const deployments = useQuery(deploymentsQuery(project)).data?.items ?? []
  const places = deployments.flatMap(({ environment, endpoint }) => {
    const version = endpoint?.versions.find((one) => one.digest === digest)
    if (!version) return []
    const { computesReason, ...rest } = version
    const isNews = computesReason && !conversion?.text.endsWith(computesReason)
    return [{ environment, version: isNews ? version : rest }]
  })
  if (places.length === 0) return null
  return (
    <section className="card" aria-labelledby="at-gateway">
      <header>
        <h2 id="at-gateway">At the gateway</h2>
        <span className="spring" />
        <Link to="/projects/$project/deployments" params={{ project }} className="text-link">
          Deployments
        </Link>
      </header>
      <div className="body">
        <ServedVersions>
          {places.map(({ environment, version }) => (
            <ServedVersionItem key={environment} name={environment} version={version} />
          ))}
        </ServedVersions>
      </div>
    </section>
  )
}

/** Whether ONNX Runtime can compute it for its deployments, with the proof; known once it was prepared for one. */
function ComputedAs({ story: { conversion } }: { story: VersionStory }) {
  if (!conversion) return null
  const { outcome, proof, reason, at } = conversion
  return (
    <section className="card" aria-labelledby="computed-as">
      <header>
        <h2 id="computed-as">Computed as</h2>
        {outcome === 'converted' && <StateWord state="passed" word="ONNX" />}
        {outcome === 'refused' && <span className="quiet">Python</span>}
        {outcome === 'failed' && <StateWord state="warned" word="Python" />}
        <span className="spring" />
        <span className="quiet">
          <Ago at={at} />
        </span>
      </header>
      {proof ? (
        <Proof proof={proof} />
      ) : (
        <div className="body stack">
          <p className="muted">Not converted: {reason}</p>
          {outcome === 'failed' && (
            <p className="quiet">That does not lie in the version: the next start tries again.</p>
          )}
        </div>
      )}
    </section>
  )
}

/** On what both forms were asked, and how far apart their answers were. */
function Proof({ proof }: { proof: NonNullable<NonNullable<VersionStory['conversion']>['proof']> }) {
  const { rows, rowsFrom, dataRows = 0, thresholdRows, largestDifference, tolerance, ties, versions } = proof
  return (
    <dl className="facts body">
      <dt>Parity on</dt>
      <dd>
        {count(rows, 'row')} of its {rowsFrom}
        {dataRows > 0 && <span className="quiet fact-line">and {count(dataRows, 'row')} of its data</span>}
        {thresholdRows > 0 && (
          <span className="quiet fact-line">and {count(thresholdRows, 'row')} on the thresholds of its trees</span>
        )}
      </dd>
      <dt>Largest difference</dt>
      <dd className="tabular">
        {Number(largestDifference.toPrecision(2))} <span className="quiet">at most {tolerance}</span>
        {ties > 0 && <span className="quiet fact-line">and {count(ties, 'label')} between equal probabilities</span>}
      </dd>
      <dt>Made with</dt>
      <dd>
        {Object.entries(versions).map(([name, version]) => (
          <span key={name} className="fact-line tabular">
            {name} {version}
          </span>
        ))}
      </dd>
    </dl>
  )
}

function Ingredients({ story: { data, environment, commit } }: { story: VersionStory }) {
  return (
    <section className="card" aria-labelledby="ingredients">
      <header>
        <h2 id="ingredients">Made from</h2>
      </header>
      <dl className="facts body">
        {commit && (
          <>
            <dt>Commit</dt>
            <dd>
              <Commit commit={commit.id} /> {commit.subject}{' '}
              <span className="quiet">by {personName(commit.author)}</span>
            </dd>
          </>
        )}
        {data.map(({ dataset, digest, rows, text, parts }) => (
          <div key={dataset} className="fact-pair">
            <dt>Data {dataset}</dt>
            <dd>
              <Digest digest={digest} />{' '}
              {rows !== undefined && <span className="tabular">{rows.toLocaleString('en')} rows</span>}
              <span className="quiet fact-line">{text}</span>
              {parts.map((part) => (
                <span key={part.digest} className="quiet fact-line">
                  {part.text}
                  {part.rows !== undefined && ` (${count(part.rows, 'row')})`}
                </span>
              ))}
            </dd>
          </div>
        ))}
        <dt>Environment</dt>
        <dd>
          {environment.digest === 'none' ? 'none declared' : <Digest digest={environment.digest} />}
          <span className="quiet fact-line">
            {[
              environment.python && `Python ${environment.python}`,
              environment.packages !== undefined && `${environment.packages} packages`,
            ]
              .filter(Boolean)
              .join(', ')}
          </span>
        </dd>
      </dl>
    </section>
  )
}

function Recipe({ story: { params, seed, modelTree, contentDigest } }: { story: VersionStory }) {
  return (
    <section className="card" aria-labelledby="recipe">
      <header>
        <h2 id="recipe">Parameters</h2>
      </header>
      <dl className="facts body">
        {Object.entries(params).flatMap(([step, values]) =>
          Object.entries(values).map(([name, value]) => (
            <div key={`${step} ${name}`} className="fact-pair">
              <dt>
                {step}.{name}
              </dt>
              <dd className="mono">{String(value)}</dd>
            </div>
          )),
        )}
        <dt>Seed</dt>
        <dd className="mono">{seed}</dd>
        <dt>Model files</dt>
        <dd>
          <Digest digest={modelTree} />
        </dd>
        <dt>Content</dt>
        <dd>
          <Digest digest={contentDigest} />
        </dd>
      </dl>
    </section>
  )
}
