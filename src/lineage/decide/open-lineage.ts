import type { Line, Reached } from './lineage-graph.ts'

const producer = 'https://modelwright.dev'
const spec = 'https://openlineage.io/spec'
const event = `${spec}/2-0-2/OpenLineage.json#/$defs/RunEvent`

const facet = (name: string, version: string, type: string) => ({
  _producer: producer,
  _schemaURL: `${spec}/facets/${version}/${name}.json#/$defs/${type}`,
})

/**
 * The runs of a piece of lineage as OpenLineage RunEvents (2-0-2), in the order of time: START where it is known, and COMPLETE. What a run took and gave are its
 * datasets, each with the digest as its version. An execution is the parent run.
 */
export function openLineageOf(
  project: string,
  { things, lines }: { things: readonly Reached[]; lines: readonly Line[] },
): object[] {
  const byId = new Map(things.map((thing) => [thing.id, thing]))
  const namespace = `modelwright://${project}`
  const related = (id: string, way: 'from' | 'to') =>
    lines.flatMap((line) => (line[way === 'from' ? 'to' : 'from'] === id ? [byId.get(line[way])!] : []))
  const dataset = (thing: Reached) => ({
    namespace,
    name: thing.kind === 'file' ? thing.name : thing.name.replace(/^(data|model) /, '$1:'),
    facets: {
      version: {
        ...facet('DatasetVersionDatasetFacet', '1-0-1', 'DatasetVersionDatasetFacet'),
        datasetVersion: thing.ref,
      },
    },
  })
  const isDataset = ({ kind }: Reached) => kind === 'data' || kind === 'file' || kind === 'logged model'
  return things
    .filter(({ kind }) => kind === 'run')
    .flatMap((run) => {
      const before = related(run.id, 'from')
      const execution = before.find(({ kind }) => kind === 'execution')
      const commit = execution && related(execution.id, 'from').find(({ kind }) => kind === 'commit')
      const facts = {
        producer,
        schemaURL: event,
        run: {
          runId: uuidText(run.ref),
          facets: execution
            ? {
                parent: {
                  ...facet('ParentRunFacet', '1-0-1', 'ParentRunFacet'),
                  run: { runId: execution.ref },
                  job: { namespace, name: project },
                },
              }
            : {},
        },
        job: {
          namespace,
          name: `${project}.${run.name}`,
          facets: commit
            ? {
                sourceCodeLocation: {
                  ...facet('SourceCodeLocationJobFacet', '1-0-1', 'SourceCodeLocationJobFacet'),
                  type: 'git',
                  url: `${namespace}/git`,
                  version: commit.ref,
                },
              }
            : {},
        },
        inputs: before.filter(isDataset).map(dataset),
        outputs: related(run.id, 'to').filter(isDataset).map(dataset),
      }
      const told = (eventType: string, at: number) => ({ eventType, eventTime: new Date(at).toISOString(), ...facts })
      return [
        ...(run.startedAt === undefined ? [] : [told('START', run.startedAt)]),
        told('COMPLETE', run.at ?? run.startedAt ?? 0),
      ]
    })
    .sort((a, b) => a.eventTime.localeCompare(b.eventTime))
}

/** MLflow's run ids are UUIDs without their dashes. */
const uuidText = (hex: string): string =>
  /^[0-9a-f]{32}$/.test(hex) ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : hex
