import { type Endpoint, endpoint, type OutputOf } from '../kernel/route.ts'
import type { ModelVersion, RegisteredModel } from './registry.ts'
import { getModel, getModelVersion, listModels } from './registry-contract.ts'
import type { RegistryService } from './registry-service.ts'

export function registryEndpoints(registry: RegistryService): Endpoint[] {
  return [
    endpoint(listModels, async ({ query }) => {
      const { items, nextPageToken } = await registry.searchModels(query)
      return { items: items.map(modelView), ...(nextPageToken ? { nextPageToken } : {}) }
    }),
    endpoint(getModel, async ({ params }) => ({
      ...modelView(await registry.model(params.model)),
      versions: (await registry.versions(params.model)).map(versionView),
    })),
    endpoint(getModelVersion, async ({ params }) => versionView(await registry.version(params.model, params.version))),
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
