import type { ArtifactService } from '../artifacts/index.ts'
import { type Execution, type ExecutionNode, type ExecutionsService, endedWell } from '../executions/index.ts'
import type { GateService } from '../gates/index.ts'
import { type Digest, digestOfJson } from '../kernel/digest.ts'
import { paramsOf } from '../planning/index.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import { type ProjectFile, type ProjectsService, upstreamSteps } from '../projects/index.ts'
import type { Candidate, CandidateOf, Standing } from '../promotions/index.ts'
import { contentDigest, signatureColumns } from '../registry/index.ts'

type Parts = {
  executions: ExecutionsService
  gates: GateService
  artifacts: ArtifactService
  objects: ObjectStore
  projects: ProjectsService
  /** The profile of a dataset's columns, kept as an object. */
  profileOf: (dataset: {
    project: string
    path: string
    digest: Digest
    file: ProjectFile
    name: string
  }) => Promise<Digest | undefined>
}

/** A judged candidate with everything that its version's manifest says: joined here from what the slices recorded. */
export const candidateReader =
  (parts: Parts): CandidateOf =>
  async (executionId, model): Promise<Candidate | undefined> => {
    const { execution, nodes } = await parts.executions.get(executionId)
    const producer = nodes.find((node) => endedWell(node.state) && node.result?.model?.name === model)
    const verdict = await parts.gates.verdictOn(executionId, model)
    if (!producer?.result?.model || !verdict) return undefined
    const { file } = await parts.projects.fileAt(execution.project, execution.commit)
    const { tree, loggedModelId } = producer.result.model
    const manifest = await parts.artifacts.tree(tree)
    const mlmodel = manifest.files.find((entry) => entry.path === 'MLmodel')
    const mlmodelText = mlmodel && new TextDecoder().decode(await parts.objects.read(mlmodel.digest))
    const datasets = dataBehind(file, producer.step)
    const trained = datasets[0]
    return {
      standing: standingOf(execution),
      verdict: {
        id: verdict.id,
        outcome: verdict.verdict.outcome,
        digest: digestOfJson({
          ...verdict,
          verdict: JSON.stringify(verdict.verdict),
          facts: JSON.stringify(verdict.facts),
        }),
      },
      origin: {
        project: execution.project,
        model,
        commit: execution.commit,
        execution: execution.id,
        run: producer.result.runId,
        loggedModelId,
        modelTree: tree,
        contentDigest: contentDigest(manifest, mlmodelText),
        data: Object.fromEntries(datasets.map((name) => [name, execution.fixed.data[name]!.digest])),
        environmentLock: environmentOf(nodes),
        params: Object.fromEntries(
          nodes
            .filter((n) => n.kind === 'step' && n.item === undefined)
            .map((n) => [n.step, paramsOf(file.steps[n.step]!, execution.fixed.set)]),
        ),
        seed: file.steps[producer.step]!.seed,
        columns: mlmodelText ? signatureColumns(mlmodelText) : [],
        ...(trained ? await profilePart(parts, execution, file, trained) : {}),
      },
    }
  }

async function profilePart(
  parts: Parts,
  execution: Execution,
  file: ProjectFile,
  name: string,
): Promise<{ profile?: Digest }> {
  const { path, digest } = execution.fixed.data[name]!
  const profile = await parts.profileOf({ project: execution.project, path, digest, file, name })
  return profile ? { profile } : {}
}

function standingOf(execution: Execution): Standing {
  if (execution.deployable) return { deployable: true }
  if (execution.trigger.kind === 'run')
    return {
      deployable: false,
      snapshot: true,
      reason: 'it was made by `modelwright run` from a working tree, which is never deployable',
    }
  return { deployable: false, snapshot: false, reason: 'it was not made on the authoritative branch' }
}

function environmentOf(nodes: readonly ExecutionNode[]): Digest | 'none' {
  const decision = nodes.find((node) => node.kind === 'environment')?.decision
  return decision && 'key' in decision ? decision.key : 'none'
}

/** The datasets that a step's result comes from, through all steps before it. */
function dataBehind(file: ProjectFile, step: string): string[] {
  const upstream = upstreamSteps(file.steps)
  const seen = new Set<string>()
  const names = new Set<string>()
  const waiting = [step]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    for (const dep of file.steps[name]?.deps ?? []) if (dep.kind === 'data') names.add(dep.name)
    waiting.push(...(upstream.get(name) ?? []))
  }
  return [...names].sort()
}
