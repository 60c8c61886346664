import { resolve } from 'node:path'
import { AppError } from '../../kernel/errors.ts'
import { isFolder, localPath } from './local-files.ts'
import type { Problem, Source } from './source.ts'

export type SourceOptions = {
  cwd: string
  env: Readonly<Record<string, string | undefined>>
  artifactsRoot?: string
  tell: (problem: Problem) => void
}

/** A server's address, a folder (or its `file:` URI), or a database: what MLflow itself takes as a tracking URI. */
export async function openSource(uri: string, options: SourceOptions): Promise<Source> {
  if (/^https?:\/\//.test(uri)) return (await import('./rest.ts')).openRest(uri, options)
  if (/^(mysql|mssql|oracle)(\+\w+)?:/.test(uri)) throw otherDatabase(uri)
  if (/^(postgres|postgresql|sqlite)(\+\w+)?:/.test(uri))
    return (await import('./database.ts')).openDatabaseSource(uri, options)
  const path = localPath(uri)
  if (path === undefined)
    throw new AppError(
      'BadRequest',
      `"${uri.replace(/\/\/[^@/]*@/, '//')}" is no place where MLflow keeps its records.`,
      'Name http://…, an mlruns/ folder, sqlite:///FILE or postgresql://….',
    )
  const whole = resolve(options.cwd, path)
  if (await isFolder(whole)) return (await import('./folder.ts')).openFolder(whole, options.tell)
  return (await import('./database.ts')).openDatabaseSource(whole, options)
}

const otherDatabase = (uri: string): AppError =>
  new AppError(
    'NotYetSupported',
    `Reading a ${uri.slice(0, uri.indexOf(':'))} database is not supported yet.`,
    'Start `mlflow server` on it and import over its REST API: modelwright import mlflow http://HOST:PORT.',
  )
