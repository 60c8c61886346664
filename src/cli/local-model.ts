import type { LocalModelParts } from '../compose/local-model.ts'
import type { CliContext } from './context.ts'
import { whenToldToEnd } from './told-to-end.ts'

/** What commands have that work on one model in this process; Ctrl-C ends them. */
export function localModelParts(context: CliContext): LocalModelParts {
  const stopping = new AbortController()
  whenToldToEnd(() => stopping.abort())
  return {
    environment: context.env,
    cwd: context.cwd,
    tracking: () => trackingOf(context),
    signal: stopping.signal,
    say: (line) => context.io.err(`${line}\n`),
  }
}

/** MLflow's own variables come first; else the Modelwright server that every other command asks. */
async function trackingOf(context: CliContext): Promise<{ url: string; authorization?: string }> {
  const { env } = context
  const url = env.MLFLOW_TRACKING_URI
  if (!url) {
    const token = await context.token()
    return { url: await context.serverUrl(), ...(token ? { authorization: `Bearer ${token}` } : {}) }
  }
  if (env.MLFLOW_TRACKING_TOKEN) return { url, authorization: `Bearer ${env.MLFLOW_TRACKING_TOKEN}` }
  const { MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password = '' } = env
  if (user) return { url, authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
  return { url }
}
