import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../support/free-ports.ts'
import { postgresVariable } from '../support/postgres-server.ts'
import { PythonSession, testPython } from '../support/python.ts'
import { place } from './place.ts'

const python = testPython()

describe.skipIf(!python)('modelwright import mlflow, from a stock server', () => {
  let at: ReturnType<typeof place>
  let session: PythonSession
  let stock: ChildProcess
  let source: string
  const everything = (uri: string) => session.run(`result = everything('${uri}')`)

  beforeAll(async () => {
    at = place()
    const environment = {
      HOME: at.folder,
      MLFLOW_DISABLE_TELEMETRY: 'true',
      MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR: 'false',
      GIT_PYTHON_REFRESH: 'quiet',
      PYTHONWARNINGS: 'ignore',
    }
    const port = await freePort()
    source = `http://127.0.0.1:${port}`
    const words = [
      '-m',
      'mlflow',
      'server',
      '--backend-store-uri',
      'sqlite:///stock.db',
      '--artifacts-destination',
      'mlartifacts',
    ]
    stock = spawn(python!, [...words, '--host', '127.0.0.1', '--port', String(port), '--workers', '1'], {
      cwd: at.folder,
      env: { PATH: process.env.PATH, ...environment },
      stdio: 'ignore',
      // Its workers end with its group.
      detached: true,
    })
    session = new PythonSession(python!, environment)
    await session.run(`
      import sys
      sys.path.insert(0, '${import.meta.dirname}')
      from mlflow_sources import *
    `)
    while (!(await fetch(`${source}/health`).catch(() => undefined))?.ok) await sleep(200)
    await session.run(`fill('${source}')`)
  })
  afterAll(async () => {
    await session?.end()
    if (stock?.pid) process.kill(-stock.pid, 'SIGKILL')
    await at?.close()
  })

  it('gives the real client everything that it has of the source', async () => {
    const url = await at.server('ours')
    const { code, out } = await at.mw('ours', 'import', 'mlflow', source)
    expect(out).toContain('Everything that was compared is the same')
    expect(code).toBe(0)
    expect(await everything(url)).toEqual(await everything(source))
    await at.kill('ours')
  })

  it('its database and its artifacts’ folder give the same as the server itself', async () => {
    const url = await at.server('from-files')
    const { code } = await at.mw('from-files', 'import', 'mlflow', 'sqlite:///stock.db')
    expect(code).toBe(0)
    expect(await everything(url)).toEqual(await everything(source))
    await at.kill('from-files')
  })

  const server = process.env[postgresVariable]
  it.skipIf(!server)('the same database in PostgreSQL gives the same', async () => {
    const database = `${server}/mlflow_source`
    await copyToPostgres(join(at.folder, 'stock.db'), server!, database)
    const url = await at.server('from-postgres')
    const { code, err } = await at.mw(
      'from-postgres',
      ...['import', 'mlflow', database.replace(/^postgres:/, 'postgresql+psycopg2:')],
      ...['--artifacts-root', 'mlartifacts'],
    )
    expect(err).toContain('postgresql://127.0.0.1')
    expect(code).toBe(0)
    expect(await everything(url)).toEqual(await everything(source))
    await at.kill('from-postgres')
  })
})

/** MLflow's tables as they are, with the types that its own schema says. */
async function copyToPostgres(path: string, server: string, place: string): Promise<void> {
  const from = new DatabaseSync(path, { readOnly: true, timeout: 10_000 })
  const administrator = new pg.Client({ connectionString: `${server}/postgres` })
  await administrator.connect()
  await administrator.query(`drop database if exists ${place.split('/').at(-1)}`)
  await administrator.query(`create database ${place.split('/').at(-1)}`)
  await administrator.end()
  const to = new pg.Client({ connectionString: place })
  await to.connect()
  const tables = from.prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'").all()
  for (const { name } of tables) {
    const columns = from.prepare('select name, type from pragma_table_info(?)').all(name!)
    const types = columns.map((column) =>
      String(column.type)
        .replace(/^FLOAT.*/, 'double precision')
        .replace(/^BLOB/, 'bytea')
        .replace(/^DATETIME/, 'timestamp'),
    )
    const names = columns.map((column) => `"${column.name}"`)
    await to.query(
      `create table ${name} (${names.map((column, index) => `${column} ${types[index] || 'text'}`).join(', ')})`,
    )
    for (const row of from.prepare(`select * from ${name}`).all()) {
      const values = columns.map(({ name: column, type }) =>
        type === 'BOOLEAN' && row[column as string] !== null ? row[column as string] === 1 : row[column as string],
      )
      await to.query(`insert into ${name} values (${values.map((_, index) => `$${index + 1}`).join(', ')})`, values)
    }
  }
  await to.end()
  from.close()
}
