import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { commands } from '../../commands.ts'
import { type Lineage, type LineageThing, lineageQuery, versionsQuery } from '../../data/queries.ts'
import { count } from '../../format.ts'
import { CommandLine, Digest } from '../../parts/copy.tsx'
import { Empty } from '../../parts/empty.tsx'
import { SkeletonRows } from '../../parts/loading.tsx'
import { Problem } from '../../parts/problem.tsx'
import { Ago } from '../../parts/time.tsx'
import { kindIcons, LineageGraph } from './lineage-graph.tsx'

const ways = [
  { direction: 'both', name: 'Both ways' },
  { direction: 'up', name: 'Came from' },
  { direction: 'down', name: 'Led to' },
] as const

const depths = [2, 4, 6, 12, 100]

/** What anything came from, and what came of it. Without a question: the newest version that there is. */
export function LineagePage() {
  const { project } = useParams({ from: '/projects/$project/lineage' })
  const { of: asked, direction = 'both', depth = 6 } = useSearch({ from: '/projects/$project/lineage' })
  const versions = useQuery({ ...versionsQuery(project), enabled: asked === undefined })
  const newest = versions.data?.items[0]
  const of = asked ?? (newest && `${newest.model}@${newest.version}`)
  const lineage = useQuery({ ...lineageQuery(project, of ?? '', direction, depth), enabled: of !== undefined })
  const isEmpty = asked === undefined && versions.data?.items.length === 0
  return (
    <div className="page">
      <div className="title">
        <h1>Lineage</h1>
        <p className="lede">
          {lineage.data ? sentenceOf(lineage.data) : 'What anything came from, and what came of it.'}
        </p>
        {of && <CommandLine command={commands.lineage(of, direction, depth)} />}
      </div>
      {versions.error || lineage.error ? <Problem error={versions.error ?? lineage.error} /> : null}
      <section className="card" aria-label="Question and answer">
        <Ask of={of ?? ''} direction={direction} depth={depth} />
        {isEmpty ? (
          <Empty title="Nothing led to anything yet" commands={[commands.push]}>
            Once a pipeline ran, ask here for a dataset, a file, a commit, a run, a version or a prediction.
          </Empty>
        ) : lineage.data ? (
          <Answer project={project} lineage={lineage.data} />
        ) : lineage.error ? null : (
          <SkeletonRows rows={6} />
        )}
      </section>
    </div>
  )
}

function sentenceOf({ things, of, more, cut }: Lineage): string {
  const [up, down] = [-1, 1].map((sign) => things.filter(({ distance }) => Math.sign(distance) === sign).length)
  const rest = more ? ' There is more further away.' : cut ? ' Only the newest 1,000 executions were looked at.' : ''
  return `${of} came from ${count(up ?? 0, 'thing')} and led to ${count(down ?? 0, 'thing')} within these steps.${rest}`
}

type Question = { of: string; direction: Lineage['direction']; depth: number }

function Ask({ of, direction, depth }: Question) {
  const { project } = useParams({ from: '/projects/$project/lineage' })
  const navigate = useNavigate({ from: '/projects/$project/lineage' })
  const ask = (form: FormData) => {
    const text = String(form.get('of') ?? '').trim()
    if (text) void navigate({ search: { of: text, direction, depth } })
  }
  return (
    <form className="lineage-ask" action={ask} key={of}>
      <input
        className="input mono"
        name="of"
        defaultValue={of}
        aria-label="Dataset, file, commit, run, execution, MODEL@VERSION, environment, digest or prediction id"
        placeholder="biopsies, data/x.csv, 3f2a1b4c, model@3, production, …"
      />
      <button type="submit" className="button small">
        Show
      </button>
      <fieldset className="lineage-ways">
        <legend className="visually-hidden">Direction</legend>
        {ways.map((way) => (
          <Link
            key={way.direction}
            to="/projects/$project/lineage"
            params={{ project }}
            search={{ ...(of ? { of } : {}), direction: way.direction, depth }}
            className="button small"
            aria-current={way.direction === direction ? 'true' : undefined}
            data-chosen={way.direction === direction}
          >
            {way.name}
          </Link>
        ))}
      </fieldset>
      <label className="lineage-steps">
        <span className="quiet">Steps</span>
        <select
          className="input"
          value={depth}
          onChange={(event) =>
            void navigate({ search: { ...(of ? { of } : {}), direction, depth: Number(event.target.value) } })
          }
        >
          {[...new Set([...depths, depth])]
            .sort((a, b) => a - b)
            .map((steps) => (
              <option key={steps} value={steps}>
                {steps}
              </option>
            ))}
        </select>
      </label>
    </form>
  )
}

const shownThings = 5

function Answer({ project, lineage }: { project: string; lineage: Lineage }) {
  const asked = lineage.things.filter((thing) => thing.asked)
  return (
    <>
      <ul className="lineage-things" aria-label="Asked for">
        {asked.slice(0, shownThings).map((thing) => (
          <AskedThing key={thing.id} project={project} thing={thing} />
        ))}
        {asked.length > shownThings && <li className="quiet">and {asked.length - shownThings} more of that name</li>}
      </ul>
      <LineageGraph project={project} lineage={lineage} />
    </>
  )
}

function AskedThing({ project, thing }: { project: string; thing: LineageThing }) {
  const Icon = kindIcons[thing.kind]
  return (
    <li>
      <Icon size={15} aria-hidden className="lineage-icon" />
      <span className="quiet">{thing.kind}</span>
      <strong>{thing.name}</strong>
      {thing.ref.startsWith('sha256:') ? (
        <Digest digest={thing.ref} />
      ) : (
        <span className="mono quiet">{thing.ref}</span>
      )}
      {thing.at !== undefined && (
        <span className="quiet">
          <Ago at={thing.at} />
        </span>
      )}
      <OwnPage project={project} thing={thing} />
    </li>
  )
}

/** Where a thing has a page of its own. */
function OwnPage({ project, thing: { kind, name, ref } }: { project: string; thing: LineageThing }) {
  const version = kind === 'version' ? /^(.+) v(\d+)$/.exec(name) : null
  if (version)
    return (
      <Link
        to="/projects/$project/models/$model/versions/$version"
        params={{ project, model: version[1]!, version: version[2]! }}
        className="text-link"
      >
        Open
      </Link>
    )
  if (kind === 'execution')
    return (
      <Link to="/projects/$project/executions/$id" params={{ project, id: ref }} className="text-link">
        Open
      </Link>
    )
  if (kind === 'commit')
    return (
      <Link to="/projects/$project/commits/$sha" params={{ project, sha: ref }} className="text-link">
        Open
      </Link>
    )
  return null
}
