import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ended } from '../cli/terminal.ts'
import { PythonSession, testPython } from '../support/python.ts'
import { place } from './place.ts'

const python = testPython()

type Everything = {
  experiments: Record<string, unknown>
  runs: Record<string, { files: Record<string, string>; history: object }>
  loggedModels: object
  registered: object
}
type Ids = { first: string; child: string; model: string }

describe.skipIf(!python)('modelwright import mlflow', () => {
  let at: ReturnType<typeof place>
  let session: PythonSession
  const everything = (uri: string) => session.run<Everything>(`result = everything('${uri}')`)
  const fill = (uri: string, root = 'None') => session.run<Ids>(`result = fill('${uri}', ${root})`)

  beforeAll(async () => {
    at = place()
    session = new PythonSession(python!, {
      HOME: at.folder,
      MLFLOW_ALLOW_FILE_STORE: 'true',
    })
    await session.run(`
      import os, sys
      os.chdir('${at.folder}')
      sys.path.insert(0, '${import.meta.dirname}')
      from mlflow_sources import *
    `)
  })
  afterAll(async () => {
    await session?.end()
    await at?.close()
  })

  describe('from an mlruns folder', () => {
    let url: string
    let source: string
    let ids: Ids
    beforeAll(async () => {
      url = await at.server('from-folder')
      source = `file://${at.folder}/mlruns`
      ids = await fill(source)
    })

    it('gives the real client everything that it has of the source, and says that nothing differs', async () => {
      const { code, out } = await at.mw('from-folder', 'import', 'mlflow', 'mlruns')
      expect(out).toContain('Everything that was compared is the same')
      expect(code).toBe(0)
      expect(await everything(url)).toEqual(await everything(source))
    })

    it('brings a version to where its run or model lies now', async () => {
      const read = (name: string) => session.run<string[]>(`result = model_bytes('${url}', '${name}')`)
      expect(await read('models:/clf/1')).toEqual(['MLmodel'])
      expect(await read('models:/clf@next')).toEqual(['ünï code.txt'])
      expect(await session.run(`result = client_of('${url}').get_model_version('clf', '3').source`)).toMatch(
        new RegExp(`^mlflow-artifacts:/\\d+/${ids.first}/artifacts/ordner$`),
      )
    })

    it('gives the next version the number after the greatest that there ever was', async () => {
      const next = await session.run(`
        client = client_of('${url}')
        result = client.create_model_version('clf', 'runs:/${ids.first}/ordner', run_id='${ids.first}').version
        client.delete_model_version('clf', result)
      `)
      expect(Number(next)).toBe(5)
    })

    it('the second time brings in only what is new, and tells a difference that was made here', async () => {
      await session.run(`
        client = client_of('${source}')
        client.create_run('0', run_name='later')
        client_of('${url}').set_tag('${ids.child}', 'colour', 'changed here')
      `)
      const { code, out, err } = await at.mw('from-folder', 'import', 'mlflow', source)
      expect(err).toMatch(/ 1 runs \(.* 6 here already/)
      expect(out).toMatch(new RegExp(`${ids.child}\\s+tags`))
      expect(code).toBe(1)
    })

    it('tells malformed entries with file and line, leaves them out, and takes the rest', async () => {
      const broken = join(at.folder, 'broken')
      await session.run(`
        client = client_of('file://${broken}')
        run = client.create_run('0', run_name='half').info.run_id
        client.log_metric(run, 'loss', 0.5, timestamp=1, step=0)
        bad = client.create_run('0', run_name='bad').info.run_id
        open('${broken}/0/' + run + '/metrics/loss', 'a').write('nonsense\\n2 0.25 1\\n')
        open('${broken}/0/' + bad + '/meta.yaml', 'w').write('status: 3\\nrun_id: [\\n')
      `)
      const { code, err, out } = await at.mw('from-folder', 'import', 'mlflow', 'broken')
      expect(err).toMatch(/0\/\w+\/metrics\/loss:2: "nonsense" is no point of a metric/)
      expect(err).toMatch(/0\/\w+\/meta\.yaml:[23]: /)
      expect(out).toMatch(/runs +1 +1/)
      expect(out).toContain('2 malformed entries')
      expect(code).toBe(0)
    })
  })

  describe('from its database', () => {
    it('gives the real client everything that it has of the source', async () => {
      const url = await at.server('from-database')
      const source = `sqlite:///${at.folder}/mlflow.db`
      await fill(source, `'file://${at.folder}/elsewhere'`)
      const { code, out } = await at.mw('from-database', 'import', 'mlflow', 'sqlite:///mlflow.db')
      expect(out).toContain('Everything that was compared is the same')
      expect(code).toBe(0)
      expect(await everything(url)).toEqual(await everything(source))
      await at.kill('from-database')
    })

    it('by reference leaves bytes and addresses where they are', async () => {
      const url = await at.server('by-reference')
      const source = `sqlite:///${at.folder}/mlflow.db`
      const { code } = await at.mw('by-reference', 'import', 'mlflow', 'mlflow.db', '--artifacts', 'reference')
      expect(code).toBe(0)
      const uris = `{run.info.run_id: run.info.artifact_uri for run in client.search_runs(['1'], run_view_type=ViewType.ALL)}`
      expect(await session.run(`client = client_of('${url}'); result = ${uris}`)).toEqual(
        await session.run(`client = client_of('${source}'); result = ${uris}`),
      )
      await at.kill('by-reference')
    })

    it('refuses another program’s database, and those that it cannot read, with what to do', async () => {
      await session.run(`
        import sqlite3
        sqlite3.connect('${at.folder}/other.db').execute('create table t (x)')
      `)
      const other = await at.mw('from-folder', 'import', 'mlflow', 'other.db')
      expect(other.err).toContain('is no database of an MLflow server')
      const mysql = await at.mw('from-folder', 'import', 'mlflow', 'mysql+pymysql://ann:secret@host/db')
      expect(mysql.err).toContain('NotYetSupported')
      expect(mysql.err).toContain('http://HOST:PORT')
      expect(mysql.err).not.toContain('secret')
    })
  })

  describe('killed in the middle', () => {
    it('goes on where it was: the program first, then the server, and nothing is lost or twice', async () => {
      const source = `file://${at.folder}/many`
      await session.run(`many_runs('${source}', 320, 5)`)
      let name = 'killed'
      // Once more, elsewhere, where this process stood still until all was done.
      while (!(await killedAmid(name))) name += '-again'
      const url = await at.server(name)
      const third = await at.mw(name, 'import', 'mlflow', 'many')
      expect(third.out).toContain('Everything that was compared is the same')
      expect(third.code).toBe(0)
      expect(third.err).toMatch(/Going on with .*: [1-9]\d* runs are here already/)
      const ofMany = (uri: string) => session.run(`result = of_many('${uri}')`)
      expect(await ofMany(url)).toEqual(await ofMany(source))
      await at.kill(name)
    })

    /** False where the program had ended before it could be killed, or before its server was. */
    async function killedAmid(name: string): Promise<boolean> {
      await at.server(name)
      const words = ['import', 'mlflow', 'many', '--data-dir', join(at.folder, name)]
      const first = at.start([...words, '--json'])
      const firstOver = ended(first)
      await until(async () => (await filesOf(name)) > 20)
      first.kill('SIGKILL')
      if ((await firstOver).code !== null) return false
      const second = ended(at.start(words))
      // The second pageful is under way: the first is whole.
      await until(async () => (await filesOf(name)) > 220)
      await at.kill(name)
      const { code, err } = await second
      expect([0, 1], err).toContain(code)
      return code === 1
    }

    /** Artifacts that the server has by now, asked of its database's file by nobody but its own door. */
    async function filesOf(name: string): Promise<number> {
      const facts = join(at.folder, name, 'run', 'server.json')
      if (!existsSync(facts)) return 0
      const { url } = JSON.parse(readFileSync(facts, 'utf8').replace(/\0.*$/s, '')) as { url: string }
      const answer = await fetch(`${url}/api/2.0/mlflow-artifacts/artifacts?path=1`).catch(() => undefined)
      return answer?.ok ? ((await answer.json()) as { files: unknown[] }).files.length : 0
    }

    async function until(happened: () => Promise<boolean>): Promise<void> {
      while (!(await happened())) await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })

  describe('from a server, and modelwright export mlflow', () => {
    it('an export is a folder that the real client reads as it reads the server, and comes back whole', async () => {
      const first = await at.server('first')
      const ids = await fill(first)
      const exported = await at.mw('first', 'export', 'mlflow', 'exported')
      expect(exported.code).toBe(0)
      const inFolder = await everything(`file://${at.folder}/exported`)
      const onServer = await everything(first)
      expect(inFolder).toEqual(onServer)
      const again = await at.mw('first', 'export', 'mlflow', 'exported')
      expect(again.err).toMatch(/0 runs \(.*here already/)

      const second = await at.server('second')
      const back = await at.mw('second', 'import', 'mlflow', 'exported')
      expect(back.out).toContain('Everything that was compared is the same')
      expect(await everything(second)).toEqual(onServer)

      const third = await at.server('third')
      const over = await at.mw('third', 'import', 'mlflow', first)
      expect(over.out).toContain('Everything that was compared is the same')
      expect(await everything(third)).toEqual(onServer)
      expect(Object.keys(onServer.runs)).toContain(ids.first)
    })

    it('never writes into a folder that it did not write', async () => {
      writeFileSync(join(at.folder, 'mine.txt'), 'mine')
      const { code, err } = await at.mw('first', 'export', 'mlflow', '.')
      expect(code).toBe(1)
      expect(err).toContain('no export of Modelwright wrote it')
      expect(existsSync(join(at.folder, '.trash'))).toBe(false)
    })

    it('what is here from elsewhere is told by name and not touched', async () => {
      const before = await everything((await facts('second')).url)
      const { code, err } = await at.mw('second', 'import', 'mlflow', (await facts('first')).url)
      expect(code).toBe(1)
      expect(err).toMatch(/run \w{32}: run \w{32} is here already and did not come from this source/)
      expect(err).toContain('registered model "clf" is here already')
      expect(await everything((await facts('second')).url)).toEqual(before)
    })

    const facts = async (name: string) =>
      JSON.parse(readFileSync(join(at.folder, name, 'run', 'server.json'), 'utf8').replace(/\0.*$/s, '')) as {
        url: string
      }
  })
})
