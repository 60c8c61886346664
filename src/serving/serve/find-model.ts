import { createWriteStream, existsSync, mkdirSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { AppError, messageOf } from '../../kernel/errors.ts'

export type FoundModel = { folder: string; name: string; version: string }

export type FindOptions = {
  /** An MLflow server, for `models:/…` and `runs:/…`; asked only where it is needed. */
  tracking: () => Promise<{ url: string; authorization?: string }>
  /** An empty folder for what must be downloaded. */
  downloads: string
  cwd: string
  /** Brings what this process cannot read itself (s3://, a tracking server that is a database): by mlflow in Python. */
  byMlflow: (uri: string, folder: string) => Promise<string>
}

/**
 * The folder of a model that is named as MLflow names it: a path, `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/MODEL_ID`,
 * `runs:/RUN_ID/NAME`, or where its artifacts lie.
 * @throws AppError NotFound, ServerUnreachable, BadRequest
 */
export async function findModel(what: string, options: FindOptions): Promise<FoundModel> {
  const path = localPath(what, options.cwd)
  if (path !== undefined) return { folder: path, name: nameOfPath(path), version: '1' }
  const named = /^(models|runs):\/(?!\/)(.+)$/.exec(what)
  if (!named) return { folder: await options.byMlflow(what, options.downloads), name: nameOfPath(what), version: '1' }
  const { url, authorization } = await options.tracking()
  if (!/^https?:/.test(url))
    return { folder: await options.byMlflow(what, options.downloads), ...namedBy(named[1]!, named[2]!) }
  const server = new MlflowServer(url, authorization)
  const { uri, name, version } =
    named[1] === 'runs' ? await server.modelOfRun(named[2]!, what) : await server.modelNamed(named[2]!, what)
  return { folder: await fetched(server, uri, options), name, version }
}

const nameOfPath = (path: string): string => basename(path.replace(/\/+$/, '')) || 'model'

function namedBy(kind: string, rest: string): { name: string; version: string } {
  if (kind === 'runs') return { name: nameOfPath(rest), version: '1' }
  const [, name, version] = /^(.+?)(?:[@/]([^/@]+))?$/.exec(rest)!
  return { name: name!, version: version ?? '1' }
}

function localPath(what: string, cwd: string): string | undefined {
  if (what.startsWith('file:')) return fileURLToPath(what)
  return /^[a-z][a-z0-9+.-]*:/i.test(what) ? undefined : resolve(cwd, what)
}

async function fetched(server: MlflowServer, uri: string, options: FindOptions): Promise<string> {
  const local = localPath(uri, '/')
  if (local !== undefined && existsSync(join(local, 'MLmodel'))) return local
  const proxied = server.proxiedPath(uri)
  if (proxied === undefined) return options.byMlflow(uri, options.downloads)
  await server.download(proxied, options.downloads)
  return options.downloads
}

type Json = Record<string, unknown>
type Located = { uri: string; name: string; version: string }

/** What is needed of MLflow's REST API, of any server that speaks it. */
class MlflowServer {
  readonly #url: string
  readonly #headers: Record<string, string>

  constructor(url: string, authorization: string | undefined) {
    this.#url = url.replace(/\/+$/, '')
    this.#headers = authorization === undefined ? {} : { authorization }
  }

  async modelNamed(rest: string, what: string): Promise<Located> {
    if (/^m-[0-9a-f]{32}$/.test(rest)) return this.#loggedModel(rest)
    const alias = /^(.+)@([^/@]+)$/.exec(rest)
    const numbered = /^(.+)\/(\d+)$/.exec(rest)
    const staged = /^(.+)\/([^/]+)$/.exec(rest)
    if (alias) {
      const answer = await this.#get('registered-models/alias', { name: alias[1]!, alias: alias[2]! })
      return this.#version(answer.model_version as Json)
    }
    if (numbered) {
      const answer = await this.#get('model-versions/get', { name: numbered[1]!, version: numbered[2]! })
      return this.#version(answer.model_version as Json)
    }
    if (!staged)
      throw new AppError(
        'BadRequest',
        `${what} does not say which version.`,
        `Name one: ${what}@ALIAS, ${what}/VERSION or ${what}/latest.`,
      )
    return this.#version(await this.#newest(staged[1]!, staged[2]!, what))
  }

  async #newest(name: string, stage: string, what: string): Promise<Json> {
    const answer = await this.#get('registered-models/get-latest-versions', {
      name,
      ...(stage.toLowerCase() === 'latest' ? {} : { stages: stage }),
    })
    const versions = (answer.model_versions ?? []) as Json[]
    const [newest] = versions.sort((a, b) => Number(b.version) - Number(a.version))
    if (newest) return newest
    throw new AppError(
      'NotFound',
      `${what}: no version of "${name}" is there.`,
      'Look with `modelwright versions --all`.',
    )
  }

  async #version(version: Json): Promise<Located> {
    const name = String(version.name)
    const number = String(version.version)
    const answer = await this.#get('model-versions/get-download-uri', { name, version: number })
    const uri = await this.#artifactsOf(String(answer.artifact_uri))
    return { uri, name, version: number }
  }

  /** A version's source may be a logged model's or a run's name instead of a place. */
  async #artifactsOf(uri: string): Promise<string> {
    const logged = /^models:\/+(m-[0-9a-f]{32})$/.exec(uri)
    if (logged) return (await this.#loggedModel(logged[1]!)).uri
    const run = /^runs:\/+(.+)$/.exec(uri)
    return run ? (await this.modelOfRun(run[1]!, uri)).uri : uri
  }

  async #loggedModel(id: string): Promise<Located> {
    const { info } = (await this.#get(`logged-models/${id}`, {})).model as { info: Json }
    return { uri: String(info.artifact_uri), name: String(info.name ?? id), version: '1' }
  }

  /** Of MLflow 3, models that a run logged are things of their own; before, they lay among the run's artifacts. */
  async modelOfRun(rest: string, what: string): Promise<Located> {
    const [, id, path] = /^([0-9a-f]{32})\/(.+?)\/?$/.exec(rest) ?? []
    if (!id || !path) throw new AppError('BadRequest', `${what} names no model of a run.`, 'Write runs:/RUN_ID/NAME.')
    const run = (await this.#get('runs/get', { run_id: id })).run as {
      info: Json
      outputs?: { model_outputs?: { model_id: string }[] }
    }
    const logged = await Promise.all(
      (run.outputs?.model_outputs ?? []).map(({ model_id }) => this.#loggedModel(model_id)),
    )
    const named = logged.filter(({ name }) => name === path).at(-1)
    return (
      named ?? {
        uri: `${String(run.info.artifact_uri).replace(/\/+$/, '')}/${path}`,
        name: nameOfPath(path),
        version: '1',
      }
    )
  }

  /** The path below the server's artifact proxy; undefined where the artifacts lie elsewhere. */
  proxiedPath(uri: string): string | undefined {
    const proxied = /^mlflow-artifacts:(?:\/\/[^/]*)?\/+(.*)$/.exec(uri)?.[1]
    const direct = uri.startsWith(this.#url) ? /\/mlflow-artifacts\/artifacts\/(.*)$/.exec(uri)?.[1] : undefined
    return proxied ?? direct
  }

  async download(path: string, folder: string): Promise<void> {
    const answer = await this.#get('artifacts', { path }, '/api/2.0/mlflow-artifacts/')
    for (const file of (answer.files ?? []) as { path: string; is_dir?: boolean }[]) {
      // Servers say it relative to the folder that was asked for.
      const name = basename(file.path)
      const target = resolve(folder, name)
      if (name === '..' || !target.startsWith(resolve(folder) + sep))
        throw new AppError('BadRequest', `The server names a file "${file.path}".`, 'Such a file is not fetched.')
      if (file.is_dir) await this.download(`${path}/${name}`, target)
      else await this.#file(`${path}/${name}`, target)
    }
  }

  async #file(path: string, target: string): Promise<void> {
    mkdirSync(dirname(target), { recursive: true })
    const escaped = path.split('/').map(encodeURIComponent).join('/')
    const response = await this.#fetch(`${this.#url}/api/2.0/mlflow-artifacts/artifacts/${escaped}`)
    if (!response.ok || !response.body) throw await this.#refused(response)
    await pipeline(Readable.fromWeb(response.body as never), createWriteStream(target))
  }

  async #get(path: string, query: Record<string, string>, below = '/api/2.0/mlflow/'): Promise<Json> {
    const response = await this.#fetch(`${this.#url}${below}${path}?${new URLSearchParams(query)}`)
    if (!response.ok) throw await this.#refused(response)
    return (await response.json()) as Json
  }

  #fetch(url: string): Promise<Response> {
    return fetch(url, { headers: this.#headers }).catch((cause: unknown) => {
      throw new AppError(
        'ServerUnreachable',
        `No MLflow server answers at ${this.#url}: ${messageOf((cause as Error).cause ?? cause)}.`,
        'Name it with MLFLOW_TRACKING_URI, or start one with `modelwright up`.',
        { cause },
      )
    })
  }

  async #refused(response: Response): Promise<AppError> {
    const text = await response.text()
    const message = /"message":\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text.slice(0, 300)
    return new AppError(
      response.status === 404
        ? 'NotFound'
        : response.status === 401 || response.status === 403
          ? 'Forbidden'
          : 'BadRequest',
      `${this.#url} answers ${response.status}: ${message}`,
      'Look whether the model is there under that name, and whether this user may read it.',
    )
  }
}
