import type { Reading } from '../access/index.ts'
import { type Actor, type Endpoint, endpoint, type OutputOf } from '../kernel/route.ts'
import { type ModelVersion, promptTag, type RegisteredModel } from './registry.ts'
import { getModel, getModelVersion, listModels } from './registry-contract.ts'
import type { RegistryService } from './registry-service.ts'

export function registryEndpoints(registry: RegistryService, reading: Reading): Endpoint[] {
  const modelFor = async (actor: Actor, name: string): Promise<RegisteredModel> => {
    const model = await registry.model(name)
    const isPrompt = model.tags[promptTag]?.toLowerCase() === 'true'
    await reading.insistOnReading(actor, { type: isPrompt ? 'prompt' : 'registered_model', id: name })
    return model
  }
  return [
    endpoint(listModels, async ({ query, actor }) => {
      const visible = {
        models: await reading.visibleTo(actor, 'registered_model'),
        prompts: await reading.visibleTo(actor, 'prompt'),
      }
      const { items, nextPageToken } = await registry.searchModels({ ...query, visible })
      return { items: items.map(modelView), ...(nextPageToken ? { nextPageToken } : {}) }
    }),
    endpoint(getModel, async ({ params, actor }) => ({
      ...modelView(await modelFor(actor, params.model)),
      versions: (await registry.versions(params.model)).map(versionView),
    })),
    endpoint(getModelVersion, async ({ params, actor }) => {
      await modelFor(actor, params.model)
      return versionView(await registry.version(params.model, params.version))
    }),
  ]
}

function modelView(model: RegisteredModel): OutputOf<typeof listModels>['items'][number] {
  const { name, description, createdAt, updatedAt, tags, aliases, latestVersions } = model
  const newest = Math.max(...latestVersions.map((version) => version.version))
  return {
    name,
    description,
    createdAt,
    updatedAt,
    tags,
    aliases,
    ...(latestVersions.length === 0 ? {} : { newestVersion: newest }),
  }
}

/** Stages and the client's own status are MLflow's matter; what remains is told. */
function versionView(version: ModelVersion): OutputOf<typeof getModelVersion> {
  const { userId: _user, stage: _stage, runLink: _link, status: _status, statusMessage: _message, ...told } = version
  return told
}
