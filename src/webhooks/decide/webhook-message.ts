import type { AppEvent, EventType } from '../../kernel/events.ts'
import type { WebhookEvent, WebhookMessage } from '../webhook.ts'

/** The events of which a webhook may want to know. */
export const toldEvents = [
  'model.registered',
  'model.tagged',
  'model.untagged',
  'version.registered',
  'version.tagged',
  'version.untagged',
  'alias.set',
  'alias.deleted',
] as const satisfies readonly EventType[]

export type ToldEvent = Extract<AppEvent, { type: (typeof toldEvents)[number] }>

const textTag = 'mlflow.prompt.text'
const innerTags = ['mlflow.prompt.is_prompt', '_mlflow_prompt_type']

/**
 * What a receiver is told of an event, in MLflow's words; undefined where MLflow tells nothing (tags of a registered model that is
 * no prompt). Versions are texts; a model without a description has an empty one, a version none.
 * Source: mlflow 3.17.2, server/handlers.py (deliver_webhook calls), webhooks/types.py.
 */
export function webhookMessage(event: ToldEvent): WebhookMessage | undefined {
  const { model: name, prompt } = event.payload
  switch (event.type) {
    case 'model.registered': {
      const { tags, description = '' } = event.payload
      return prompt
        ? { entity: 'prompt', action: 'created', data: { name, tags: without(tags, innerTags), description } }
        : { entity: 'registered_model', action: 'created', data: { name, tags, description } }
    }
    case 'model.tagged': {
      const { key, value } = event.payload
      return prompt ? { entity: 'prompt_tag', action: 'set', data: { name, key, value } } : undefined
    }
    case 'model.untagged':
      return prompt ? { entity: 'prompt_tag', action: 'deleted', data: { name, key: event.payload.key } } : undefined
    case 'version.registered':
      return versionMessage(event.payload)
    case 'version.tagged': {
      const { version, key, value } = event.payload
      const entity = prompt ? 'prompt_version_tag' : 'model_version_tag'
      return { entity, action: 'set', data: { name, version: String(version), key, value } }
    }
    case 'version.untagged': {
      const { version, key } = event.payload
      const entity = prompt ? 'prompt_version_tag' : 'model_version_tag'
      return { entity, action: 'deleted', data: { name, version: String(version), key } }
    }
    case 'alias.set': {
      const { alias, version } = event.payload
      const entity = prompt ? 'prompt_alias' : 'model_version_alias'
      return { entity, action: 'created', data: { name, alias, version: String(version) } }
    }
    case 'alias.deleted': {
      const entity = prompt ? 'prompt_alias' : 'model_version_alias'
      return { entity, action: 'deleted', data: { name, alias: event.payload.alias } }
    }
  }
}

function versionMessage(told: Extract<ToldEvent, { type: 'version.registered' }>['payload']): WebhookMessage {
  const { model: name, tags, source, runId: run_id = null, description = null } = told
  const version = String(told.version)
  if (!told.prompt)
    return { entity: 'model_version', action: 'created', data: { name, version, source, run_id, tags, description } }
  const data = {
    name,
    version,
    template: tags[textTag] ?? null,
    tags: without(tags, [...innerTags, textTag]),
    description,
  }
  return { entity: 'prompt_version', action: 'created', data }
}

const without = (tags: Record<string, string>, keys: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(tags).filter(([key]) => !keys.includes(key)))

const tags = { example_key: 'example_value' }
const model = { name: 'example_model' }
const prompt = { name: 'example_prompt' }
const version = { version: '1' }
const tag = { key: 'example_key' }
const alias = { alias: 'example_alias' }

const examples: Record<string, Record<string, unknown>> = {
  'registered_model.created': { ...model, tags, description: 'An example registered model' },
  'model_version.created': {
    ...model,
    ...version,
    source: 'models:/123',
    run_id: 'abcd1234abcd5678',
    tags,
    description: 'An example model version',
  },
  'model_version_tag.set': { ...model, ...version, ...tag, value: 'example_value' },
  'model_version_tag.deleted': { ...model, ...version, ...tag },
  'model_version_alias.created': { ...model, ...alias, ...version },
  'model_version_alias.deleted': { ...model, ...alias },
  'prompt.created': { ...prompt, tags, description: 'An example prompt' },
  'prompt_version.created': {
    ...prompt,
    ...version,
    template: 'Hello {{name}}!',
    tags,
    description: 'An example prompt version',
  },
  'prompt_tag.set': { ...prompt, ...tag, value: 'example_value' },
  'prompt_tag.deleted': { ...prompt, ...tag },
  'prompt_version_tag.set': { ...prompt, ...version, ...tag, value: 'example_value' },
  'prompt_version_tag.deleted': { ...prompt, ...version, ...tag },
  'prompt_alias.created': { ...prompt, ...alias, ...version },
  'prompt_alias.deleted': { ...prompt, ...alias },
  'budget_policy.exceeded': {
    budget_policy_id: 'bp-abc123',
    budget_unit: 'USD',
    budget_amount: 100,
    current_spend: 105.5,
    duration_unit: 'MONTHS',
    duration_value: 1,
    target_scope: 'ENDPOINT',
    workspace: 'default',
    target_value: 'ep-abc123',
    window_start: 1704067200000,
  },
}

/** What a test of a webhook sends: the example that MLflow documents for the event. */
export const exampleMessage = (event: WebhookEvent): WebhookMessage => ({
  ...event,
  data: examples[`${event.entity}.${event.action}`] ?? {},
})
