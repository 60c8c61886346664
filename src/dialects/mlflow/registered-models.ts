import type { FastifyInstance } from 'fastify'
import type { MlflowAccess } from './access.ts'
import { integer, onlyTexts, pairs, readMessage, required, text } from './message.ts'
import { registryLimit } from './model-versions.ts'
import { type MlflowParts, mount } from './parts.ts'
import { versionNumber } from './version-number.ts'
import { modelWire, tokenWire, versionWire } from './wire.ts'

const root = '/2.0/mlflow/registered-models'

export function mountRegisteredModels(app: FastifyInstance, parts: MlflowParts, access: MlflowAccess): void {
  mountModels(app, parts, access)
  mountAliases(app, parts, access)
}

function mountModels(app: FastifyInstance, { registry }: MlflowParts, access: MlflowAccess): void {
  const named = { name: required(text) }

  mount(app, 'POST', `${root}/create`, async (request) => {
    const model = readMessage(request, { ...named, tags: pairs('tags'), description: text })
    return { registered_model: modelWire(await registry.createModel(model)) }
  })

  mount(app, 'GET', `${root}/get`, async (request) => {
    const { name } = readMessage(request, named)
    return { registered_model: modelWire(await registry.model(name)) }
  })

  mount(app, 'GET', `${root}/search`, async (request) => {
    const search = readMessage(request, { filter: text, max_results: integer, order_by: onlyTexts, page_token: text })
    const { items, nextPageToken } = await registry.searchModels({
      filter: search.filter,
      limit: registryLimit(search.max_results ?? 100, 1000),
      orderBy: search.order_by,
      pageToken: search.page_token,
      visible: await access.visibleModels(request.actor),
    })
    return { registered_models: items.map(modelWire), ...tokenWire(nextPageToken) }
  })

  for (const method of ['POST', 'GET'] as const)
    mount(app, method, `${root}/get-latest-versions`, async (request) => {
      const { name, stages } = readMessage(request, { ...named, stages: onlyTexts })
      return { model_versions: (await registry.latestVersions(name, stages)).map(versionWire) }
    })

  mount(app, 'PATCH', `${root}/update`, async (request) => {
    const { name, description } = readMessage(request, { ...named, description: text })
    access.toShared(request.actor, `describe model ${name}`)
    return { registered_model: modelWire(await registry.describeModel(name, description ?? '')) }
  })

  mount(app, 'POST', `${root}/rename`, async (request) => {
    const { name, new_name } = readMessage(request, { ...named, new_name: required(text) })
    access.toShared(request.actor, `rename model ${name}`)
    return { registered_model: modelWire(await registry.renameModel(name, new_name)) }
  })

  mount(app, 'DELETE', `${root}/delete`, async (request) => {
    const { name } = readMessage(request, named)
    access.toShared(request.actor, `delete model ${name}`)
    await registry.deleteModel(name)
    return {}
  })

  mount(app, 'POST', `${root}/set-tag`, async (request) => {
    const { name, key, value } = readMessage(request, { ...named, key: required(text), value: text })
    access.toShared(request.actor, `tag model ${name}`)
    await registry.setModelTag(name, { key, value: value ?? '' })
    return {}
  })

  mount(app, 'DELETE', `${root}/delete-tag`, async (request) => {
    const { name, key } = readMessage(request, { ...named, key: required(text) })
    access.toShared(request.actor, `delete tags of model ${name}`)
    await registry.deleteModelTag(name, key)
    return {}
  })
}

function mountAliases(app: FastifyInstance, { registry }: MlflowParts, access: MlflowAccess): void {
  const aliased = { name: required(text), alias: required(text) }

  mount(app, 'POST', `${root}/alias`, async (request) => {
    const { name, alias, version } = readMessage(request, { ...aliased, version: required(text) })
    const number = versionNumber(version)
    if (request.actor.kind === 'step') {
      const { runId } = await registry.version(name, number)
      await access.toVersionOf(request.actor, runId, `set aliases of model ${name}`)
    }
    await registry.setAlias(name, alias, number)
    return {}
  })

  mount(app, 'GET', `${root}/alias`, async (request) => {
    const { name, alias } = readMessage(request, aliased)
    return { model_version: versionWire(await registry.versionByAlias(name, alias)) }
  })

  mount(app, 'DELETE', `${root}/alias`, async (request) => {
    const { name, alias } = readMessage(request, aliased)
    access.toShared(request.actor, `delete aliases of model ${name}`)
    await registry.deleteAlias(name, alias)
    return {}
  })
}
